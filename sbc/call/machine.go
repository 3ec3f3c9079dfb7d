package call

import (
	"strconv"
	"strings"
	"time"

	"linekeeper/sbc/policy"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// Config is what a call is born with and keeps to its end.
type Config struct {
	// Invite is who calls whom; its Token names the call.
	Invite Invite
	// Random yields short unguessable texts (client nonces of digest answers).
	Random func() string
	// Agent is the box's User-Agent and Server text.
	Agent string
	// Connected yields the header fields that tell the caller whom it has reached,
	// from what a target answered (RFC 3325); nil: nothing is told.
	Connected func(Target, *sip.Response) []sip.Header
	// Outside yields those that tell the cloud which of the box's extensions it talks
	// with now, after a transfer say (RFC 3325, RFC 5876); nil: nothing is told.
	Outside func(Party) []sip.Header
	// Session is the session timer that the box asks for (RFC 4028); 0 switches it off.
	Session time.Duration
	// Patience bounds how long a call may ring in all, all steps together.
	Patience time.Duration
}

// Defaults of a call.
const (
	DefaultSession  = 30 * time.Minute
	DefaultPatience = 3 * time.Minute
	// minSE is the smallest session interval that the box accepts (RFC 4028 5).
	minSE = 90 * time.Second
	// linger bounds how long an ended call waits for answers to its last requests:
	// a little more than 64*T1 (RFC 3261 timer F).
	linger = 36 * time.Second
	// maxRedirects bounds how often phones may send one call on.
	maxRedirects = 5
	// maxForks bounds the other answerers of one INVITE that are let go in order.
	maxForks = 8
	// credentialTries bounds answers to digest challenges per request.
	credentialTries = 2
)

// Machine is one call. Step is total: every input is answered in every state.
type Machine struct {
	cfg    Config
	state  State
	since  time.Time // of state
	born   time.Time
	talked time.Time

	way  Way
	legs []*leg
	// host and winner talk with each other: at first the A leg and whoever took
	// the call, later those whom a transfer or a pick-up has joined.
	host, winner *leg
	// hunt is the search for somebody who takes the call; nil once somebody did.
	hunt *hunt
	best failure
	// hops is the Max-Forwards that the call came with, at most 70.
	hops uint32
	// cause is what the one who ended the call said of it; connected tells the
	// caller whom it has reached.
	cause     policy.Cause
	connected []sip.Header
	// misfit is why a description could not be agreed to, where that ends the call.
	misfit error
	// diverted are the phones that have sent the call on, the latest first.
	diverted []policy.Divert
	// transfer is a REFER under way, away a leg on offer to another call.
	transfer *transfer
	away     *away
	recalls  int // how often whoever sent the other party on was called back
	straight direct

	end  *End
	asks map[Ref]*ask
	refs Ref

	now time.Time
	out []Effect
}

// New makes a call that waits for its Arrived.
func New(cfg Config) *Machine {
	return &Machine{cfg: cfg, state: Trying, asks: make(map[Ref]*ask)}
}

// Done says that nothing of the call is left to wait for.
func (m *Machine) Done() bool { return m.state == Over }

// Step takes one input at the time now and returns what to do, in order.
func (m *Machine) Step(now time.Time, in Input) []Effect {
	m.now, m.out = now, nil
	switch in := in.(type) {
	case Arrived:
		m.arrived(in)
	case Planned:
		m.planned(in.Plan)
	case MediaOpened:
		m.mediaOpened(in)
	case MediaRefused:
		m.mediaRefused(in)
	case Answer:
		m.answer(in)
	case Failed:
		m.failed(in)
	case Request:
		m.request(in)
	case Acked:
		m.acked(in)
	case Unacked:
		m.unacked(in)
	case Cancelled:
		m.cancelled(in)
	case Join:
		m.joined(in)
	case Adopt:
		m.adopt(in)
	case Moved:
		m.moved(in)
	case Rekey:
		m.rekey(in)
	case Digit:
		m.digit(in)
	case Due:
		m.due(in.Key)
	case Hangup:
		m.finish(in.End)
	}
	m.considerDirect()
	m.settle()
	return m.out
}

func (m *Machine) do(e ...Effect) { m.out = append(m.out, e...) }

func (m *Machine) to(s State) {
	if m.state == s {
		return
	}
	m.state, m.since = s, m.now
	m.do(Became{s})
}

func (m *Machine) a() *leg { return m.legs[0] }

// hunting says whether anybody is still looked for.
func (m *Machine) hunting() bool { return m.hunt != nil && m.end == nil }

func (m *Machine) leg(id LegID) *leg {
	if id < 0 || int(id) >= len(m.legs) {
		return nil
	}
	return m.legs[id]
}

// peer is the leg that talks with l, nil before an answer.
func (m *Machine) peer(l *leg) *leg {
	switch {
	case m.winner == nil:
		return nil
	case l == m.host:
		return m.winner
	case l == m.winner:
		return m.host
	}
	return nil
}

// Tag is the box's dialog tag of a leg.
func Tag(token string, id LegID) string { return token + "-" + strconv.Itoa(int(id)) }

// Owner takes a tag apart again; ok is false for a tag that no call of ours made.
func Owner(tag string) (token string, id LegID, ok bool) {
	i := strings.LastIndexByte(tag, '-')
	if i < 1 {
		return "", 0, false
	}
	n, err := strconv.ParseUint(tag[i+1:], 10, 16)
	if err != nil {
		return "", 0, false
	}
	return tag[:i], LegID(n), true
}

// settle ends the machine when the call is over and nothing is awaited.
func (m *Machine) settle() {
	if m.state != Ending || len(m.asks) > 0 {
		return
	}
	for _, l := range m.legs {
		if l.stage != gone {
			return
		}
	}
	m.do(Disarm{"linger"})
	m.to(Over)
}

// finish ends the call once: unanswered legs are cancelled or refused, answered
// ones get a BYE, media is released.
func (m *Machine) finish(end End) {
	if m.end != nil {
		return
	}
	m.end = &end
	for _, key := range []string{"silent", "ring", "patience"} {
		m.do(Disarm{key})
	}
	m.to(Ending)
	m.do(Arm{"linger", linger})
	for _, l := range m.legs {
		m.leave(l, end)
	}
	m.do(Ended{end})
}

// leave lets go of one leg in the way its stage asks for.
func (m *Machine) leave(l *leg, end End) {
	m.closeMedia(l)
	m.stopTimers(l)
	m.relinquish(l)
	if !l.live() {
		m.restart(l)
		m.quieten(l)
	}
	switch {
	case l.incoming && l.stage == early:
		l.stage = gone
		m.refuse(l, end)
	case l.incoming && l.stage == answered:
		l.byeDue = true // RFC 3261 15: not before the ACK
	case l.stage == confirmed || l.stage == answered:
		m.bye(l, end)
	case l.stage == opening:
		l.stage = gone
	case l.pending():
		l.stage = leaving
		m.do(Cancel{l.ref, joined(m.reasons(end))})
	}
}

// relinquish gives up what is being carried across for a leg that is left. A 2xx
// that made an offer gets its ACK without the answer.
func (m *Machine) relinquish(l *leg) {
	r := l.in
	if r == nil {
		return
	}
	l.in = nil
	if r.answer == nil {
		m.reply(l, r.tx, r.req, 481, "", nil)
		r.refused = true
		return
	}
	if to := m.leg(r.to); to != nil && (to.live() || to.stage == leaving) {
		m.acknowledge(to, r.seq, nil)
	}
}

func (m *Machine) bye(l *leg, end End) {
	l.stage = leaving
	m.send(l, &ask{purpose: forBye, method: sip.BYE, headers: m.reasons(end).Headers()})
}

func (m *Machine) closeMedia(l *leg) {
	if l.open {
		l.open = false
		m.do(Close{l.id})
	}
}

func (m *Machine) due(key string) {
	name, id, _ := strings.Cut(key, ":")
	var l *leg
	if id != "" {
		n, _ := strconv.Atoi(id)
		l = m.leg(LegID(n))
	}
	switch {
	case name == "linger":
		clear(m.asks)
		for _, l := range m.legs {
			l.stage = gone
		}
	case name == "moved" && m.away != nil:
		m.do(m.away.move, Arm{"moved", moveLate})
	case l != nil && l.stage == offered:
	case m.end != nil:
	case name == "silent":
		m.silent()
	case name == "ring":
		m.unanswered()
	case name == "patience":
		m.fruitless(End{ByCallee, 480, "nobody answered"})
	case name == "move":
		m.handOver()
	case name == "direct":
		m.goDirect()
	case name == "part" && l != nil:
		m.part(l)
	case name == "refit" && l != nil:
		if p := m.peer(l); p != nil {
			m.refit(l, p)
		}
	case name == "rekey" && l != nil:
		m.offerKeys(l)
	case name == "repeat" && l != nil:
		m.repeatReliably(l)
	case name == "unpracked" && l != nil:
		m.unpracked(l)
	case name == "flow" && l != nil:
		m.flowSilent(l)
	case name == "refresh" && l != nil:
		m.refresh(l)
	case name == "expire" && l != nil:
		m.finish(End{Unknown, 408, "the peer vanished: its session timer ran out"})
	}
}

// same says whether an offer repeats what the peer had described before.
func same(a, b *sdp.Session) bool {
	return a != nil && b != nil && string(a.Bytes()) == string(b.Bytes())
}

// session parses a message's SDP; nil without a body, an error for anything else.
func session(m sip.Message) (*sdp.Session, error) {
	if len(m.Body()) == 0 {
		return nil, nil
	}
	return sdp.Parse(m.Body())
}
