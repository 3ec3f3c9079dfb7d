package resolve

import (
	"bufio"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
)

const (
	resolvConf = "/etc/resolv.conf"
	hostsFile  = "/etc/hosts"
	// maxFile bounds what is read of either file.
	maxFile = 1 << 20
	// maxNameServers bounds whom a question is put to.
	maxNameServers = 8
	dnsPort        = 53
)

// lines calls f with the fields of each line, less comments. What can't be
// read counts as not written.
func lines(path string, f func(fields []string)) {
	file, err := os.Open(path)
	if err != nil {
		return
	}
	defer func() { _ = file.Close() }() // it was only read
	scan := bufio.NewScanner(io.LimitReader(file, maxFile))
	for scan.Scan() {
		text := scan.Text()
		if i := strings.IndexAny(text, "#;"); i >= 0 {
			text = text[:i]
		}
		if fields := strings.Fields(text); len(fields) > 1 {
			f(fields)
		}
	}
}

// nameServers reads resolv.conf(5); without any server it is the box itself.
func nameServers(path string) []netip.AddrPort {
	var found []netip.AddrPort
	lines(path, func(f []string) {
		if f[0] != "nameserver" || len(found) == maxNameServers {
			return
		}
		if a, err := netip.ParseAddr(f[1]); err == nil {
			found = append(found, netip.AddrPortFrom(a, dnsPort))
		}
	})
	if len(found) == 0 {
		found = append(found, netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), dnsPort))
	}
	return found
}

// fromHosts looks a name up in a hosts(5) file.
func fromHosts(path, name string) []netip.Addr {
	name = strings.TrimSuffix(name, ".")
	var found []netip.Addr
	lines(path, func(f []string) {
		a, err := netip.ParseAddr(f[0])
		if err != nil || !reachable(a) || len(found) == maxRecords {
			return
		}
		for _, alias := range f[1:] {
			if strings.EqualFold(strings.TrimSuffix(alias, "."), name) {
				found = append(found, a.Unmap())
				return
			}
		}
	})
	return found
}

// routed asks the kernel for a route; connecting a UDP socket sends nothing.
func routed(a netip.Addr) bool {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 9)))
	if err != nil {
		return false
	}
	_ = c.Close() // nothing was sent that could be lost
	return true
}
