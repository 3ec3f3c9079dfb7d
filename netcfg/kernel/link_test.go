package kernel

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// inside marks the process that lives in a network of its own.
const inside = "LINEKEEPER_TEST_INSIDE"

// TestMain moves the test binary into a user and network namespace of its own:
// links are made and pulled there, and nobody needs to be root.
func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		panic(err)
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), inside+"=yes")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}
	if err := cmd.Run(); err != nil {
		if cmd.ProcessState == nil { // it never ran: a test that can't run has failed
			fmt.Fprintln(os.Stderr, "a user and network namespace is needed (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone):", err)
		}
		os.Exit(1)
	}
}

// cable is a pair of ends; the peer is reached over the near one.
type cable struct {
	t         *testing.T
	near, far netlink.Link
	peer      netip.Addr
}

// plug lays a cable named name toward the network 10.number.0.0/24.
func plug(t *testing.T, name string, number int) *cable {
	t.Helper()
	pair := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: name + "far"}
	if err := netlink.LinkAdd(pair); err != nil {
		t.Fatalf("lay a cable: %v", err)
	}
	t.Cleanup(func() { _ = netlink.LinkDel(pair) }) // gone already where a test took it away
	c := &cable{t: t, peer: netip.AddrFrom4([4]byte{10, byte(number), 0, 2})}
	c.near, c.far = c.link(name), c.link(name+"far")
	addr, err := netlink.ParseAddr(fmt.Sprintf("10.%d.0.1/24", number))
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.AddrAdd(c.near, addr); err != nil {
		t.Fatal(err)
	}
	c.set(c.near, true)
	c.set(c.far, true)
	return c
}

func (c *cable) link(name string) netlink.Link {
	c.t.Helper()
	l, err := netlink.LinkByName(name)
	if err != nil {
		c.t.Fatal(err)
	}
	return l
}

func (c *cable) set(end netlink.Link, up bool) {
	c.t.Helper()
	do := netlink.LinkSetDown
	if up {
		do = netlink.LinkSetUp
	}
	if err := do(end); err != nil {
		c.t.Fatal(err)
	}
}

// watching runs a Carrier and gives what it tells.
func watching(t *testing.T) (*Carrier, <-chan bool) {
	t.Helper()
	told := make(chan bool, 64)
	c := NewCarrier(slog.New(slog.DiscardHandler), func(up bool) { told <- up })
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	ready := make(chan struct{})
	go func() { done <- c.Run(ctx, func() { close(ready) }) }()
	<-ready
	t.Cleanup(func() {
		stop()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("the watch ended with %v", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("the watch did not end")
		}
	})
	return c, told
}

// expect waits for the next news.
func expect(t *testing.T, told <-chan bool, want bool, after string) {
	t.Helper()
	select {
	case got := <-told:
		if got != want {
			t.Fatalf("after %s the link is told up=%v", after, got)
		}
	case <-time.After(5 * time.Second):
		t.Fatalf("after %s nothing was told", after)
	}
}

func silent(t *testing.T, told <-chan bool) {
	t.Helper()
	select {
	case up := <-told:
		t.Errorf("told up=%v though nothing changed", up)
	default:
	}
}

func TestPulledCableIsToldAndSoIsItsReturn(t *testing.T) {
	cord := plug(t, "wan0", 77)
	c, told := watching(t)
	c.Toward(cord.peer)
	expect(t, told, true, "the first look")
	for range 3 {
		cord.set(cord.far, false) // the other end is off: no carrier here
		expect(t, told, false, "pulling the cable")
		cord.set(cord.far, true)
		expect(t, told, true, "plugging it in")
	}
	cord.set(cord.near, false) // the port itself is switched off: the route goes too
	expect(t, told, false, "switching the port off")
	c.Toward(cord.peer)
	cord.set(cord.near, true)
	expect(t, told, true, "switching the port on")
	silent(t, told)
}

func TestLinkThatIsDownAtFirstIsToldAsDown(t *testing.T) {
	cord := plug(t, "wan1", 78)
	cord.set(cord.far, false)
	c, told := watching(t)
	c.Toward(cord.peer)
	expect(t, told, false, "the first look")
	cord.set(cord.far, true)
	expect(t, told, true, "plugging it in")
}

func TestLinkThatIsTakenAwayIsDown(t *testing.T) {
	cord := plug(t, "wan2", 79)
	c, told := watching(t)
	c.Toward(cord.peer)
	expect(t, told, true, "the first look")
	if err := netlink.LinkDel(cord.near); err != nil {
		t.Fatal(err)
	}
	expect(t, told, false, "taking the card out")
}

func TestOtherLinksAreNoNews(t *testing.T) {
	cord, other := plug(t, "wan3", 80), plug(t, "lan3", 81)
	c, told := watching(t)
	c.Toward(cord.peer)
	expect(t, told, true, "the first look")
	other.set(other.far, false)
	other.set(other.far, true)
	cord.set(cord.far, false) // the next news must be of this one
	expect(t, told, false, "pulling the watched cable")
}

func TestAnotherPeerMovesTheWatch(t *testing.T) {
	cord, other := plug(t, "wan4", 82), plug(t, "lte4", 83)
	c, told := watching(t)
	c.Toward(cord.peer)
	expect(t, told, true, "the first look")
	other.set(other.far, false)
	c.Toward(other.peer)
	expect(t, told, false, "turning to a peer behind a dead link")
	c.Toward(cord.peer)
	expect(t, told, true, "turning back")
}

func TestWatchWithoutAPeerTellsNothing(t *testing.T) {
	cord := plug(t, "wan5", 84)
	c, told := watching(t)
	cord.set(cord.far, false)
	cord.set(cord.far, true)
	c.Toward(netip.Addr{})
	silent(t, told)
}
