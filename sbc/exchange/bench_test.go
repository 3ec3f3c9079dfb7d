package exchange

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"linekeeper/sbc/sip"
)

const sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 40000 RTP/AVP 0 8 101\r\n" +
	"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n"

// arrive makes a request as the wire would hand it up: read from bytes.
func arrive(tb testing.TB, req *sip.Request) *sip.Request {
	tb.Helper()
	m, err := sip.Parse(sip.Bytes(req))
	if err != nil {
		tb.Fatal(err)
	}
	return m.(*sip.Request)
}

// mute is a Sender that does nothing.
type mute struct{}

func (mute) Send(sip.Flow, sip.Message) error { return nil }

// TestFinishedTransactionsStayUnderFourKiB holds 2,000 answered INVITEs of
// either side and weighs them.
func TestFinishedTransactionsStayUnderFourKiB(t *testing.T) {
	const n = 2000
	for _, side := range []string{"server", "client"} {
		x, w, o := start(t, 0)
		x.sender = mute{}
		before := heap()
		for i := range n {
			switch side {
			case "server":
				d := draft(sip.INVITE, i)
				d.ContentType, d.Body = "application/sdp", []byte(sdp)
				req := request(sip.INVITE, i)
				sip.SetBody(req, d.ContentType, d.Body)
				x.Receive(arrive(t, req), flowOf(sip.UDP))
				resp := sip.Respond(o.reqs[0], 200, "", "t")
				sip.SetBody(resp, d.ContentType, d.Body)
				o.txs[0].OnAcked(func(*sip.Request) {})
				o.txs[0].Respond(resp)
				o.txs, o.reqs, o.lines = nil, nil, nil
			case "client":
				var call [8 << 10]byte // what an owner would hold
				req := draft(sip.INVITE, i).Request()
				c := x.Do(req, flowOf(sip.UDP), func(ClientEvent) { call[0]++ })
				x.Receive(sip.Respond(req, 486, "", "t"), flowOf(sip.UDP))
				_ = c
			}
		}
		per := (heap() - before) / n
		t.Logf("%s: %d bytes for each finished INVITE", side, per)
		if per > 4096 {
			t.Errorf("%s: %d bytes for each finished INVITE, want at most 4096", side, per)
		}
		x.Stop()
		runtime.KeepAlive(w)
	}
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

func BenchmarkServerInvite(b *testing.B) {
	x, _, o := start(b, 1<<30)
	x.sender = mute{}
	body := []byte(sdp)
	wire := make([][]byte, 64)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if i%len(wire) == 0 { // requests are made outside of what is measured
			b.StopTimer()
			x.Stop()
			x.stopped.Store(false)
			for k := range wire {
				req := request(sip.INVITE, i+k)
				sip.SetBody(req, "application/sdp", body)
				wire[k] = sip.Bytes(req)
			}
			b.StartTimer()
		}
		m, _ := sip.Parse(wire[i%len(wire)])
		x.Receive(m, flowOf(sip.UDP))
		resp := sip.Respond(o.reqs[0], 200, "", "t")
		o.txs[0].Respond(resp)
		o.txs, o.reqs, o.lines = o.txs[:0], o.reqs[:0], o.lines[:0]
		i++
	}
	x.Stop()
}

// BenchmarkTurnAway is an INVITE turned away and its ACK, reading included; compare
// with BenchmarkServerInvite.
func BenchmarkTurnAway(b *testing.B) {
	x, _, o := start(b, 1<<30)
	x.sender = mute{}
	req := request(sip.INVITE, 1)
	sip.SetBody(req, "application/sdp", []byte(sdp))
	invite, ack := sip.Bytes(req), sip.Bytes(ackOf(1))
	b.ReportAllocs()
	for b.Loop() {
		m, _ := sip.Parse(invite)
		x.TurnAway(m.(*sip.Request), flowOf(sip.UDP), time.Second)
		m, _ = sip.Parse(ack)
		x.Receive(m, flowOf(sip.UDP))
		o.lines = o.lines[:0]
	}
}

func BenchmarkClientInvite(b *testing.B) {
	x, _, _ := start(b, 1<<30)
	x.sender = mute{}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		req := draft(sip.INVITE, i).Request()
		x.Do(req, flowOf(sip.TCP), func(ClientEvent) {})
		x.Receive(sip.Respond(req, 180, "", "t"), flowOf(sip.TCP))
		x.Receive(sip.Respond(req, 486, "", "t"), flowOf(sip.TCP))
		i++
	}
	x.Stop()
}

func BenchmarkLostFlowAmongTwentyThousand(b *testing.B) {
	x, _, _ := start(b, 1<<30)
	x.sender = mute{}
	for i := range 20000 {
		x.Do(draft(sip.OPTIONS, i).Request(), flowOf(sip.UDP), func(ClientEvent) {})
	}
	gone := flowOf(sip.TCP)
	for b.Loop() {
		x.Lost(gone, fmt.Errorf("gone"))
	}
	x.Stop()
}
