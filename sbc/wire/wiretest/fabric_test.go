package wiretest_test

import (
	"errors"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
	"linekeeper/sbc/wire/wiretest"
)

func TestFabricKeepsTheContract(t *testing.T) {
	fabrics := make(map[string]*wiretest.Fabric)
	wiretest.Contract(t, func(t *testing.T, h wire.Handler, zone string, listen sip.Transport) (wiretest.Wire, netip.AddrPort) {
		f, at := fabrics[t.Name()], netip.MustParseAddrPort("192.0.2.2:5060")
		if f == nil {
			f, at = wiretest.New(), netip.MustParseAddrPort("192.0.2.1:5060")
			fabrics[t.Name()] = f
		}
		node := f.Node()
		node.Handle(h)
		node.SetZone(zone, at, listen)
		return node, at
	})
}

// net is a box and a phone in a fabric.
type net struct {
	*wiretest.Fabric
	box, phone  *wiretest.Node
	heard, back wiretest.Inbox
	here, there netip.Addr
	to          netip.AddrPort
}

func network() *net {
	n := &net{Fabric: wiretest.New(), heard: make(wiretest.Inbox, 100), back: make(wiretest.Inbox, 100),
		here: netip.MustParseAddr("192.0.2.2"), there: netip.MustParseAddr("192.0.2.1")}
	n.to = netip.AddrPortFrom(n.there, 5060)
	n.box, n.phone = n.Node(), n.Node()
	n.box.Handle(n.heard)
	n.phone.Handle(n.back)
	n.box.SetZone("lan", n.to, sip.UDP, sip.TCP)
	n.phone.SetZone("wan", netip.AddrPortFrom(n.here, 5060))
	return n
}

func (n *net) send(t *testing.T, transport sip.Transport, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := n.phone.Send(sip.Flow{Zone: "wan", Transport: transport, Remote: n.to}, wiretest.Request(t, id)); err != nil {
			t.Fatal(err)
		}
	}
}

// got is what has been heard once all is quiet at this moment.
func (n *net) got() (ids string) {
	synctest.Wait()
	for {
		select {
		case a := <-n.heard:
			if a.Message != nil {
				ids += sip.CallIDOf(a.Message)
			} else {
				ids += "!"
			}
		default:
			return ids
		}
	}
}

func TestDelayIsKeptToTheMillisecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network()
		n.Delay(n.here, n.there, 50*time.Millisecond)
		n.send(t, sip.UDP, "a")
		time.Sleep(49 * time.Millisecond) // the bubble's time
		if ids := n.got(); ids != "" {
			t.Errorf("heard %q after 49 ms", ids)
		}
		time.Sleep(time.Millisecond)
		if ids := n.got(); ids != "a" {
			t.Errorf("heard %q after 50 ms", ids)
		}
	})
}

func TestLossTakesDatagramsAndDelaysStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network()
		n.send(t, sip.TCP, "x")
		n.got()
		second := func(i int) bool { return i == 2 }
		n.Lose(n.here, n.there, second)
		n.send(t, sip.UDP, "a", "b", "c")
		if ids := n.got(); ids != "ac" {
			t.Errorf("datagrams %q", ids)
		}
		n.Lose(n.here, n.there, second)
		n.send(t, sip.TCP, "a", "b", "c")
		if ids := n.got(); ids != "a" {
			t.Errorf("at once %q", ids)
		}
		time.Sleep(wiretest.Resend)
		if ids := n.got(); ids != "bc" {
			t.Errorf("later %q", ids)
		}
	})
}

func TestCutOfOneDirectionHoldsAStreamUntilItIsMended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network()
		flow, err := n.phone.Flow("wan", sip.TCP, n.to)
		if err != nil {
			t.Fatal(err)
		}
		n.send(t, sip.TCP, "a")
		n.got()
		n.Cut(n.here, n.there)
		n.send(t, sip.UDP, "u")
		n.send(t, sip.TCP, "b", "c")
		time.Sleep(wiretest.Dead - time.Millisecond)
		if ids := n.got(); ids != "" {
			t.Errorf("through the cut came %q", ids)
		}
		n.Mend(n.here, n.there)
		if ids := n.got(); ids != "bc" {
			t.Errorf("after it came %q", ids)
		}
		n.Cut(n.here, n.there)
		n.send(t, sip.TCP, "d")
		time.Sleep(wiretest.Dead)
		synctest.Wait()
		if a := n.back.Next(t); a.Flow != flow || !errors.Is(a.Err, syscall.ETIMEDOUT) {
			t.Errorf("told %v of %v", a.Err, a.Flow)
		}
		if ids := n.got(); ids != "" {
			t.Errorf("the other side heard %q", ids)
		}
	})
}

func TestConnectionOverACutPathTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network()
		n.Cut(n.there, n.here) // even if only the answers are missing
		began := time.Now()
		n.send(t, sip.TCP, "a")
		if a := n.back.Next(t); a.Err == nil || time.Since(began) != wiretest.Dial {
			t.Errorf("told %v after %s", a.Err, time.Since(began))
		}
	})
}

func TestBrokenConnectionIsToldToBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network()
		n.send(t, sip.TCP, "a")
		a := n.heard.Next(t)
		n.box.Break(a.Flow)
		if n.got() != "!" || n.back.Next(t).Err == nil {
			t.Error("not told")
		}
		n.send(t, sip.TCP, "b")
		if b := n.heard.Next(t); b.Flow.Conn == a.Flow.Conn {
			t.Errorf("second connection is %v as well", b.Flow)
		}
	})
}
