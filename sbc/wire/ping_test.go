package wire_test

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

func TestPingLeavesFromTheSocketOfTheFlow(t *testing.T) {
	peer, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	to := peer.LocalAddr().(*net.UDPAddr).AddrPort()
	box, _ := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
	flow, err := box.Flow("wan", sip.UDP, to)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []sip.Flow{flow, {Zone: "wan", Transport: sip.UDP, Remote: to}} {
		if err := box.Ping(f); err != nil {
			t.Fatal(err)
		}
		if err := peer.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 100)
		n, from, err := peer.ReadFromUDPAddrPort(b)
		if err != nil || string(b[:n]) != "\r\n\r\n" || from != flow.Local {
			t.Errorf("%q from %s, %v; want it from %s", b[:n], from, err, flow.Local)
		}
	}
}

func TestPingUsesAStandingConnectionAndNeverDials(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	to := listener.Addr().(*net.TCPAddr).AddrPort()
	box, told := run(t, wire.Limits{}, wire.Zone{Name: "wan"})
	if err := box.Ping(sip.Flow{Zone: "wan", Transport: sip.TCP, Remote: to}); !errors.Is(err, wire.ErrGone) {
		t.Errorf("ping without a connection: %v", err)
	}
	if n := box.Stats().Conns; n != 0 {
		t.Errorf("%d connections after it", n)
	}
	flow, err := box.Flow("wan", sip.TCP, to)
	if err != nil {
		t.Fatal(err)
	}
	peer, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if err := box.Ping(flow); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(peer, b); err != nil || string(b) != "\r\n\r\n" {
		t.Errorf("%q %v", b, err)
	}
	peer.Close()
	if a := told.next(t); a.err == nil {
		t.Fatalf("heard %v", a.m)
	}
	if err := box.Ping(flow); !errors.Is(err, wire.ErrGone) {
		t.Errorf("ping after the end: %v", err)
	}
	if err := box.Ping(sip.Flow{Zone: "none", Transport: sip.UDP, Remote: netip.MustParseAddrPort("127.0.0.1:5060")}); !errors.Is(err, wire.ErrNoZone) {
		t.Errorf("ping in no zone: %v", err)
	}
}

func TestSTUNOnTheSIPPortIsAnsweredFromIt(t *testing.T) {
	box, told := run(t, wire.Limits{}, wire.Zone{Name: "lan", Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}})
	at := box.Listening("lan")[0].Addr
	phone, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(at))
	if err != nil {
		t.Fatal(err)
	}
	defer phone.Close()
	if err := phone.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	ask := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
	if _, err := phone.Write(ask.Raw); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 200)
	n, err := phone.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	m := &stun.Message{Raw: b[:n]}
	var seen stun.XORMappedAddress
	if err := m.Decode(); err != nil || seen.GetFrom(m) != nil || m.TransactionID != ask.TransactionID {
		t.Fatalf("%x: %v", b[:n], err)
	}
	if mine := phone.LocalAddr().(*net.UDPAddr); seen.Port != mine.Port || !seen.IP.Equal(mine.IP) {
		t.Errorf("told %v, sent from %v", seen, mine)
	}
	if len(told) != 0 {
		t.Error("a keep-alive was handed up as a message")
	}
}
