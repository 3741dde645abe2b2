ip -4 rule del fwmark 1337 lookup 133 2>/dev/null || true
ip -4 route flush table 133 2>/dev/null || true
ip -6 rule del fwmark 1337 lookup 133 2>/dev/null || true
ip -6 route flush table 133 2>/dev/null || true
nft -f - <<'EOF'
table inet sidelight {}
delete table inet sidelight
table inet sidelight {
	chain output {
		type nat hook output priority -100; policy accept;
		oifname "lo" return
		meta skuid { 1337 } return
		meta l4proto tcp redirect to :15001
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		iifname "lo" return
		tcp dport { 15020, 15021 } return
		meta l4proto tcp redirect to :15006
	}
}
EOF
