package wire_test

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/wire"
)

// answered sends requests and a response, and tells which of them Late was asked about
// and which came to the handler. The first only proves that the reader is late; of the
// others Late answers one.
func answered(t *testing.T, stale time.Duration) (asked, came string) {
	t.Helper()
	in := make(inbox, 16)
	questions := make(chan string, 16)
	w := wire.New(wire.Deps{Log: slog.New(slog.DiscardHandler), Guard: wire.NewGuard(wire.Rules{}), Limits: wire.Limits{Stale: stale},
		Zones: []wire.Zone{{Name: "lan", Listen: []wire.Listen{{Transport: sip.UDP, Addr: netip.MustParseAddrPort("127.0.0.1:0")}}}},
		Late: func(req *sip.Request, flow sip.Flow) bool {
			questions <- string(req.Method)
			return req.Method == sip.OPTIONS && flow.Zone == "lan"
		}})
	w.Handle(in)
	ctx, stop := context.WithCancel(t.Context())
	ready, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- w.Run(ctx, func() { close(ready) }) }()
	<-ready
	peer, err := net.Dial("udp", w.Listening("lan")[0].Addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	for _, m := range []string{text("INFO sip:b@x SIP/2.0", "1 INFO"), text("OPTIONS sip:b@x SIP/2.0", "1 OPTIONS"), text("SIP/2.0 200 OK", "1 OPTIONS"), text("MESSAGE sip:b@x SIP/2.0", "1 MESSAGE")} {
		if _, err := peer.Write([]byte(m)); err != nil {
			t.Fatal(err)
		}
	}
	var all []string
	for {
		a := in.next(t)
		req, is := a.m.(*sip.Request)
		if !is {
			all = append(all, "200")
			continue
		}
		all = append(all, string(req.Method))
		if req.Method == sip.MESSAGE {
			break
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
	close(questions)
	var put []string
	for q := range questions {
		put = append(put, q)
	}
	if n := w.Stats().Late; (n == 1) != (len(put) > 0) {
		t.Errorf("%d counted as late", n)
	}
	return strings.Join(put, " "), strings.Join(all, " ")
}

func TestLateRequestsAreAskedAboutAndResponsesNever(t *testing.T) {
	if asked, came := answered(t, 1); asked != "OPTIONS MESSAGE" || came != "INFO 200 MESSAGE" {
		t.Errorf("asked about %q, came %q", asked, came)
	}
	if asked, came := answered(t, time.Hour); asked != "" || came != "INFO OPTIONS 200 MESSAGE" {
		t.Errorf("in time: asked about %q, came %q", asked, came)
	}
}
