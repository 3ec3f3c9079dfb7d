package wire

import (
	"bytes"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"linekeeper/sbc/sip"
)

// tally counts; every message must be fit to be sent on.
type tally struct {
	t    *testing.T
	seen [][]byte
	lost atomic.Int32
}

func (h *tally) Receive(m sip.Message, _ sip.Flow) {
	raw := sip.Bytes(m)
	h.seen = append(h.seen, raw)
	if _, err := sip.Parse(raw); err != nil {
		h.t.Errorf("handed up what cannot be parsed again: %v\n%q", err, raw)
	}
}

func (h *tally) Lost(sip.Flow, error) { h.lost.Add(1) }

// through sends data to a connection's reader in pieces and returns what the
// handler got.
func through(t *testing.T, data []byte, size int) [][]byte {
	h := &tally{t: t}
	w := New(Deps{Log: slog.New(slog.DiscardHandler), Guard: NewGuard(Rules{Rate: 1e9, Burst: 1e9})})
	w.Handle(h)
	w.open = true
	z := newZone(w, Zone{Name: "lan"})
	w.zones["lan"] = z
	c := newConn(z, sip.Flow{Zone: "lan", Transport: sip.TCP,
		Local: netip.MustParseAddrPort("127.0.0.1:5060"), Remote: netip.MustParseAddrPort("127.0.0.1:40000")}, false)
	if err := z.enter(c); err != nil {
		t.Fatal(err)
	}
	near, far := net.Pipe()
	c.attach(nil, near)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.read(near)
		_ = near.Close()
		c.finish()
	}()
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, far)
	}()
	for len(data) > 0 {
		n := min(size, len(data))
		if _, err := far.Write(data[:n]); err != nil {
			break // the reader has had enough
		}
		data = data[n:]
	}
	_ = far.Close()
	late := time.NewTimer(10 * time.Second)
	defer late.Stop()
	select {
	case <-done:
	case <-late.C:
		t.Fatal("the reader hangs")
	}
	<-drained
	w.work.Wait()
	if n := h.lost.Load(); n != 1 {
		t.Errorf("lost %d times", n)
	}
	if n := w.Stats().Conns; n != 0 {
		t.Errorf("%d connections left", n)
	}
	return h.seen
}

// FuzzStream feeds a connection's reader: it never crashes or hangs, it ends
// once, and how the octets are cut changes nothing in what is handed up.
func FuzzStream(f *testing.F) {
	good := "OPTIONS sip:b@x SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1:9;rport;branch=z9hG4bKa\r\nMax-Forwards: 70\r\n" +
		"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\nContent-Length: 3\r\n\r\nabc"
	for _, seed := range []string{
		"", "\r\n\r\n", good, good + "\r\n\r\n" + good, good[:40], "\x00\xff", "SIP/2.0 200 OK\r\n\r\n",
		"OPTIONS sip:x SIP/2.0\r\nContent-Length: -1\r\n\r\n", "OPTIONS sip:x SIP/3.0\r\nl: 0\r\n\r\n" + good,
		"ACK sip:x SIP/2.0\r\nContent-Length: 99999999999\r\n\r\n",
	} {
		f.Add([]byte(seed), 7)
	}
	f.Fuzz(func(t *testing.T, data []byte, size int) {
		if len(data) > 1<<16 {
			return
		}
		size = max(1, min(size, 1000))
		cut, whole := through(t, data, size), through(t, data, len(data)+1)
		if !bytes.Equal(bytes.Join(cut, nil), bytes.Join(whole, nil)) {
			t.Errorf("in pieces of %d: %q\nas a whole: %q", size, cut, whole)
		}
	})
}
