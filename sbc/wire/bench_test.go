package wire_test

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// window lets a sender have so many messages under way.
type window chan struct{}

func (w window) Receive(sip.Message, sip.Flow) { w <- struct{}{} }
func (w window) Lost(sip.Flow, error)          {}

// cpu is the processor time that the process has used.
func cpu(b *testing.B) time.Duration {
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// BenchmarkDatagramToHandler is one REGISTER from the kernel,
// through guard, parser and validation, to the handler, the sending of it
// included. The sender keeps some under way, as a building that registers after
// a power cut does.
func BenchmarkDatagramToHandler(b *testing.B) {
	const size = 200
	c := make(window, size)
	for range size {
		c <- struct{}{}
	}
	w := wire.New(wire.Deps{Log: slog.New(slog.DiscardHandler), Guard: wire.NewGuard(wire.Rules{Rate: 1e9, Burst: 1e9}),
		Zones: []wire.Zone{{Name: "lan", Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}}})
	w.Handle(c)
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- w.Run(b.Context(), func() { close(ready) }) }()
	<-ready
	peer, err := net.Dial("udp", w.Listening("lan")[0].Addr.String())
	if err != nil {
		b.Fatal(err)
	}
	defer peer.Close()
	raw := []byte(text("REGISTER sip:box SIP/2.0", "1 REGISTER", "Contact: <sip:a@127.0.0.1:5060>;expires=3600\r\n"+
		"User-Agent: phone/1.0\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, REFER, UPDATE\r\nSupported: path, outbound\r\n"))
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	b.ResetTimer()
	began := cpu(b)
	for range b.N {
		<-c
		if _, err := peer.Write(raw); err != nil {
			b.Fatal(err)
		}
	}
	for range size {
		<-c
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "datagrams/s")
	b.ReportMetric(float64((cpu(b)-began).Nanoseconds())/float64(b.N), "cpu-ns/datagram")
}
