package identity

// For the fuzz target of files.
var (
	DecodePEM = decodePEM
	EncodePEM = encodePEM
)
