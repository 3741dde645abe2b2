package app

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// dropStartPages gives the pages of the program file back that only the start
// needed: registering some hundred protobuf messages touches most of the
// binary, once. They are clean, so what is needed again is mapped again from
// the page cache. It gives the number of bytes looked at.
func dropStartPages() int {
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return 0
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return 0
	}
	defer func() { _ = maps.Close() }()
	dropped := 0
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		// 00400000-00c9d000 r-xp 00000000 fe:00 9978002   /usr/bin/sidelight-proxy
		f := strings.Fields(lines.Text())
		if len(f) < 6 || f[5] != exe || strings.Contains(f[1], "w") {
			continue // a page that can be written may hold what is nowhere else
		}
		from, to, _ := strings.Cut(f[0], "-")
		begin, err1 := strconv.ParseUint(from, 16, 64)
		end, err2 := strconv.ParseUint(to, 16, 64)
		if err1 != nil || err2 != nil {
			continue
		}
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, uintptr(begin), uintptr(end-begin), syscall.MADV_DONTNEED); errno == 0 {
			dropped += int(end - begin)
		}
	}
	return dropped
}
