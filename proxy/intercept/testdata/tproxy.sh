ip -4 rule del fwmark 1337 lookup 133 2>/dev/null || true
ip -4 route flush table 133 2>/dev/null || true
ip -6 rule del fwmark 1337 lookup 133 2>/dev/null || true
ip -6 route flush table 133 2>/dev/null || true
ip -4 rule add fwmark 1337 lookup 133
ip -4 route add local 0.0.0.0/0 dev lo table 133
ip -6 rule add fwmark 1337 lookup 133
ip -6 route add local ::/0 dev lo table 133
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
		type filter hook prerouting priority -150; policy accept;
		iifname "lo" return
		tcp dport { 15020, 15021 } return
		ct direction reply return
		meta nfproto ipv4 meta l4proto tcp tproxy ip to :15006 meta mark set 1337 accept
		meta nfproto ipv6 meta l4proto tcp tproxy ip6 to :15006 meta mark set 1337 accept
	}
}
EOF
