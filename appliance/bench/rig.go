package main

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// rig is the call load: phones on one socket and the cloud on another, both played by
// one thread that sends and reads whole messages by hand. SIPp costs more for a call
// than what is measured here may; this costs about a tenth of it.
//
// It plays by the timers of RFC 3261 17: what gets no answer is sent again.
type rig struct {
	near, far *plug
	box       unix.Sockaddr // where phones send
	domain    string        // of the phones, as the target knows it
	prove     bool          // phones send credentials with each call
	sets      []*handset
	offer     []byte
	answers   [2][]byte // plain, with a key

	timers  timers
	calls   map[string]*outgoing // of phones, by Call-ID
	taken   map[string]*incoming // at the cloud, by Call-ID
	lines   map[string]bool      // that registered at the cloud, by user
	serial  int
	present *rigResult
}

// rigResult is the outcome of a load.
type rigResult struct {
	Offered, Done, Failed int
	Shed, Rude            int // 503 with Retry-After, and without
	Repeats               int // messages sent again, by either side
	Late                  time.Duration
	Setup                 hist // INVITE to 200
	FirstError            string
	Took                  time.Duration
}

// shape is what is offered: rate calls a second for a time, each held.
type shape struct {
	rate int
	span time.Duration
	hold time.Duration
}

const (
	rigT1       = 500 * time.Millisecond
	rigT2       = 4 * time.Second
	rigPatience = 10 * time.Second // when a call counts as failed
	rigKey      = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkw\r\n"
)

func newRig(near, far netip.Addr) (*rig, error) {
	g := &rig{calls: make(map[string]*outgoing), taken: make(map[string]*incoming), lines: make(map[string]bool), present: &rigResult{}}
	var err error
	if g.near, err = openPlug(near); err != nil {
		return nil, err
	}
	if g.far, err = openPlug(far); err != nil {
		return nil, errors.Join(err, g.near.close())
	}
	g.offer = description(near, "RTP/AVP", "")
	g.answers = [2][]byte{description(far, "RTP/AVP", ""), description(far, "RTP/SAVP", rigKey)}
	return g, nil
}

// description is an SDP body for media that is never sent.
func description(at netip.Addr, profile, key string) []byte {
	return fmt.Appendf(nil, "v=0\r\no=- 53655765 2353687637 IN IP4 %[1]s\r\ns=-\r\nc=IN IP4 %[1]s\r\nt=0 0\r\nm=audio %[2]d %[3]s 8 0 101\r\n"+
		"%[4]sa=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n",
		at, mutePort, profile, key)
}

// aim points the phones at a target and forgets what went on with another.
func (g *rig) aim(box netip.AddrPort, prove bool) {
	g.box = &unix.SockaddrInet4{Port: int(box.Port()), Addr: box.Addr().As4()}
	g.domain, g.prove, g.sets = box.Addr().String(), prove, nil
	clear(g.calls)
	clear(g.taken)
	g.timers = nil
	for i := range phoneCount {
		g.sets = append(g.sets, newHandset(i))
	}
}

func (g *rig) close() error { return errors.Join(g.near.close(), g.far.close()) }

// serve lets both sides live until done says so, ctx ends or the time is over.
func (g *rig) serve(ctx context.Context, span time.Duration, done func() bool) {
	end := time.Now().Add(span)
	fds := []unix.PollFd{{Fd: int32(g.near.fd), Events: unix.POLLIN}, {Fd: int32(g.far.fd), Events: unix.POLLIN}}
	for now := time.Now(); now.Before(end) && ctx.Err() == nil && !done(); now = time.Now() {
		g.fire(now)
		wait := time.Millisecond
		if len(g.timers) > 0 {
			wait = min(wait, max(0, time.Until(g.timers[0].at)))
		}
		ts := unix.NsecToTimespec(int64(wait))
		if n, err := unix.Ppoll(fds, &ts, nil); err != nil || n == 0 {
			continue
		}
		// By turns and a few at a time: neither side may keep the other waiting.
		for range 32 {
			if !g.takeNear() && !g.takeFar() {
				break
			}
		}
	}
}

// run offers calls and waits for the last of them.
func (g *rig) run(ctx context.Context, s shape) rigResult {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	g.present = &rigResult{}
	res := g.present
	began := time.Now()
	total := int(float64(s.rate) * s.span.Seconds())
	var next func(now time.Time)
	next = func(now time.Time) {
		due := min(total, int(now.Sub(began).Seconds()*float64(s.rate))+1)
		for ; res.Offered < due; res.Offered++ {
			at := began.Add(time.Duration(float64(res.Offered) / float64(s.rate) * float64(time.Second)))
			res.Late = max(res.Late, now.Sub(at))
			g.call(now, s.hold)
		}
		if res.Offered < total {
			g.after(now, time.Duration(float64(time.Second)/float64(s.rate)), next)
		}
	}
	next(began)
	g.serve(ctx, s.span+s.hold+2*rigPatience, func() bool { return res.Offered == total && len(g.calls) == 0 })
	res.Took = time.Since(began)
	for _, c := range g.calls {
		c.fail("never came to an end")
	}
	clear(g.calls)
	return *res
}

// lingering serves what still comes after a load: repeated 2xx, keep-alives.
func (g *rig) lingering(ctx context.Context, span time.Duration) {
	g.serve(ctx, span, func() bool { return false })
}

func (g *rig) takeNear() bool {
	msg, from := g.near.read()
	if msg == nil {
		return false
	}
	now := time.Now()
	code := status(msg)
	if code == 0 { // OPTIONS and BYE of the target
		if m := method(msg); m != "ACK" && field(msg, "Call-ID") != "" {
			g.near.write(answerTo(msg, "200 OK", "p", "", nil), from)
			if c := g.calls[field(msg, "Call-ID")]; c != nil && m == "BYE" {
				c.fail("ended by the target")
			}
		}
		return true
	}
	id := field(msg, "Call-ID")
	if c := g.calls[id]; c != nil {
		c.answered(now, code, msg)
		return true
	}
	if rest, ok := strings.CutPrefix(id, "r-"); ok {
		for _, h := range g.sets {
			if h.id == rest {
				h.registered(g, now, code, msg)
			}
		}
	}
	return true
}

// timer is something due.
type timer struct {
	at time.Time
	do func(now time.Time)
}

// timers are a heap, the earliest first.
type timers []timer

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].at.Before(t[j].at) }
func (t timers) Swap(i, j int)      { t[i], t[j] = t[j], t[i] }

// Push is for the heap.
func (t *timers) Push(x any) { *t = append(*t, x.(timer)) }

// Pop is for the heap.
func (t *timers) Pop() any {
	old := *t
	last := old[len(old)-1]
	old[len(old)-1] = timer{}
	*t = old[:len(old)-1]
	return last
}

func (g *rig) after(now time.Time, d time.Duration, do func(now time.Time)) {
	heap.Push(&g.timers, timer{now.Add(d), do})
}

func (g *rig) fire(now time.Time) {
	for len(g.timers) > 0 && !g.timers[0].at.After(now) {
		heap.Pop(&g.timers).(timer).do(now)
	}
}
