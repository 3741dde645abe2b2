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
		meta nfproto != ipv4 return
		oifname "lo" return
		meta skuid { 1337 } return
		meta skgid { 7 } return
		tcp dport { 22 } return
		ip daddr { 10.2.3.4/32 } return
		ip daddr != { 10.0.0.0/8 } return
		ip6 daddr != { fd00::/8 } return
		meta l4proto tcp redirect to :15001
	}
	chain prerouting {
		type nat hook prerouting priority -100; policy accept;
		meta nfproto != ipv4 return
		iifname "lo" return
		iifname { "docker0" } return
		tcp dport { 15020, 15021 } return
		tcp dport != { 8080, 9000 } return
		meta l4proto tcp redirect to :15006
	}
}
EOF
