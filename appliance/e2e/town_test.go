package e2e

import (
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netns"
)

// The addresses of every town. Namespaces keep towns apart.
const (
	boxLAN   = "10.77.1.1"
	boxWAN   = "10.77.2.1"
	pbxAddr  = "10.77.2.10" // Kamailio
	farAddr  = "10.77.2.20" // the far party
	sippAddr = "10.77.2.30" // SIPp as the cloud
)

// townPrefix starts the name of every namespace of this test, followed by the
// process id of its maker.
const townPrefix = "lk-e2e-"

// towns counts the towns of this process.
var towns atomic.Int64

// Town is a site, the line to the cloud, and the cloud.
type Town struct {
	t      *testing.T
	name   string
	Box    *Host
	Cloud  *Host // the provider's PBX
	Other  *Host // where the far party lives, behind the PBX
	middle *Host
	Phones []*Host
}

// Host is one network namespace.
type Host struct {
	ns   string
	addr netip.Addr
}

// newTown builds a town with so many phone hosts. It goes away with the test.
func newTown(t *testing.T, phones int) *Town {
	t.Helper()
	name := fmt.Sprintf("%s%d-%d", townPrefix, os.Getpid(), towns.Add(1))
	town := &Town{t: t, name: name}
	town.Box = town.host("box", boxLAN)
	town.middle = town.host("net", "0.0.0.0")
	town.Cloud = town.host("cloud", pbxAddr)
	town.Other = town.host("far", farAddr)

	box, net, cloud := town.Box.ns, town.middle.ns, town.Cloud.ns
	script := []string{
		"link add lan0 netns " + box + " type bridge",
		"link add wan0 netns " + box + " type veth peer name site0 netns " + net,
		"link add wire0 netns " + cloud + " type veth peer name cloud0 netns " + net,
		"link add line0 netns " + net + " type bridge",
		"link add pbx0 netns " + cloud + " type bridge",
		"link add far0 netns " + cloud + " type veth peer name eth0 netns " + town.Other.ns,
	}
	inBox := []string{"link set lo up", "link set lan0 up", "link set wan0 up",
		"addr add " + boxLAN + "/24 dev lan0", "addr add " + boxWAN + "/24 dev wan0"}
	for i := range phones {
		n := strconv.Itoa(i + 1)
		addr := "10.77.1." + strconv.Itoa(11+i)
		phone := town.host("phone"+n, addr)
		town.Phones = append(town.Phones, phone)
		script = append(script, "link add p"+n+" netns "+box+" type veth peer name eth0 netns "+phone.ns)
		inBox = append(inBox, "link set p"+n+" master lan0 up")
	}
	batch(t, "", script)
	batch(t, box, inBox)
	batch(t, net, []string{"link set lo up", "link set line0 up", "link set site0 master line0 up", "link set cloud0 master line0 up"})
	batch(t, cloud, []string{"link set lo up", "link set pbx0 up", "link set wire0 master pbx0 up",
		"link set far0 master pbx0 up", "addr add " + pbxAddr + "/24 dev pbx0", "addr add " + sippAddr + "/24 dev pbx0"})
	batch(t, town.Other.ns, []string{"link set lo up", "link set eth0 up", "addr add " + farAddr + "/24 dev eth0"})
	for _, p := range town.Phones {
		batch(t, p.ns, []string{"link set lo up", "link set eth0 up", "addr add " + p.addr.String() + "/24 dev eth0"})
	}
	return town
}

// host makes a namespace that is deleted with the test.
func (town *Town) host(role, addr string) *Host {
	town.t.Helper()
	h := &Host{ns: town.name + "-" + role, addr: netip.MustParseAddr(addr)}
	ip(town.t, "netns", "add", h.ns)
	town.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", h.ns).CombinedOutput(); err != nil {
			town.t.Errorf("deleting namespace %s: %v: %s", h.ns, err, out)
		}
	})
	return h
}

// CutLine takes the link away in the cloud's namespace. The box keeps carrier.
func (town *Town) CutLine() { ip(town.t, "-n", town.Cloud.ns, "link", "set", "wire0", "down") }

// MendLine gives the cloud its link back.
func (town *Town) MendLine() { ip(town.t, "-n", town.Cloud.ns, "link", "set", "wire0", "up") }

// ip runs one ip command.
func ip(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
	}
}

// batch runs many ip commands in one process, inside a namespace or not.
func batch(t *testing.T, ns string, lines []string) {
	t.Helper()
	args := []string{"-batch", "-"}
	if ns != "" {
		args = append([]string{"-n", ns}, args...)
	}
	cmd := exec.Command("ip", args...)
	cmd.Stdin = strings.NewReader(strings.Join(lines, "\n") + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("ip -batch in %q: %v: %s", ns, err, out)
	}
}

// Inside calls fn on a thread that lives in the host's namespace: sockets that
// fn opens belong there, and stay there when it has returned.
func (h *Host) Inside(t *testing.T, fn func() error) {
	t.Helper()
	if err := h.inside(fn); err != nil {
		t.Fatalf("inside %s: %v", h.ns, err)
	}
}

func (h *Host) inside(fn func() error) error {
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		return err
	}
	defer home.Close()
	there, err := netns.GetFromName(h.ns)
	if err != nil {
		return err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		return err
	}
	failed := fn()
	if err := netns.Set(home); err != nil {
		return err // the thread stays locked and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return failed
}

// netnsEtc holds, by namespace, files that ip netns exec puts over those of /etc.
const netnsEtc = "/etc/netns"

// Names gives a host a name server of its own: dnsmasq with these options,
// which runs on that host.
func (h *Host) Names(t *testing.T, options ...string) {
	t.Helper()
	etc := filepath.Join(netnsEtc, h.ns)
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(etc); err != nil {
			t.Error(err)
		}
		os.Remove(netnsEtc) // if nobody else has one
	})
	writeFile(t, filepath.Join(etc, "resolv.conf"), "nameserver 127.0.0.1\n")
	server := h.Start(t, t.TempDir(), nil, "dnsmasq", append([]string{
		"--keep-in-foreground", "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces",
		"--user=root", "--pid-file=", "--log-queries", "--log-facility=-", "--conf-file=/dev/null", "--local=/example/", "--local-ttl=60",
	}, options...)...)
	server.Await(t, "started", 5*time.Second)
}

// Unplug takes a host's address away; what is sent there is lost. Plug brings it back.
func (h *Host) Unplug(t *testing.T, addr, device string) {
	ip(t, "-n", h.ns, "addr", "del", addr+"/24", "dev", device)
}

// Plug brings back what Unplug took.
func (h *Host) Plug(t *testing.T, addr, device string) {
	ip(t, "-n", h.ns, "addr", "add", addr+"/24", "dev", device)
}

// sweep removes what a killed run of this test left behind: namespaces whose
// maker is gone, and the processes in them.
func sweep() {
	out, err := exec.Command("ip", "netns", "list").Output()
	if err != nil {
		return
	}
	for line := range strings.Lines(string(out)) {
		ns, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(ns, townPrefix)
		maker, _, _ := strings.Cut(rest, "-")
		pid, err := strconv.Atoi(maker)
		if !ours || err != nil || syscall.Kill(pid, 0) == nil {
			continue
		}
		inside, err := exec.Command("ip", "netns", "pids", ns).Output()
		if err == nil {
			for word := range strings.FieldsSeq(string(inside)) {
				if left, err := strconv.Atoi(word); err == nil {
					syscall.Kill(left, syscall.SIGKILL)
				}
			}
		}
		exec.Command("ip", "netns", "del", ns).Run()
		os.RemoveAll(filepath.Join(netnsEtc, ns))
	}
}
