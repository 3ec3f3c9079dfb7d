package sbc

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"linekeeper/sbc/call"
	"linekeeper/sbc/media"
	"linekeeper/sbc/sdp"
	"linekeeper/sbc/sip"
)

// What the switchboard of a ladder stands on: the stage counts what comes, scripts the
// routers and notes what is done.

// Receive counts what has been dealt with.
func (st *stage) Receive(m sip.Message, flow sip.Flow) {
	st.x.Receive(m, flow)
	st.received.Add(1)
	st.stirred()
}

// Lost counts connections that are gone.
func (st *stage) Lost(flow sip.Flow, err error) {
	st.x.Lost(flow, err)
	st.lost.Add(1)
	st.stirred()
}

func (st *stage) stirred() {
	select {
	case st.stir <- struct{}{}:
	default:
	}
}

func (st *stage) note(n news) {
	st.mu.Lock()
	st.own = append(st.own, n)
	st.mu.Unlock()
	st.stirred()
}

func (st *stage) route(inv call.Invite) call.Plan {
	st.mu.Lock()
	st.routed++
	first, plan := st.routed == 1, st.plan
	st.mu.Unlock()
	if first {
		return plan
	}
	st.note(news{texts: []string{fmt.Sprintf("redirect to=%s rights=%s", inv.Dialled, inv.Caller.Extension), transferred(inv)}})
	return st.another(403)
}

func (st *stage) replan(inv call.Invite) call.Plan {
	texts := []string{"replan"}
	if inv.For != nil {
		texts = []string{transferred(inv)}
	}
	st.note(news{texts: texts})
	return st.another(503)
}

// transferred is how the ladders tell of a transfer that asks for a way.
func transferred(inv call.Invite) string {
	return fmt.Sprintf("transfer to=%s rights=%s shown=%s", inv.Dialled, inv.Caller.Extension, inv.Shown().Number)
}

// another is the plan that a call goes on with; code is for where there is none.
func (st *stage) another(code int) call.Plan {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.again == nil {
		return call.Plan{Reject: &sip.Reject{Code: code, Phrase: sip.Phrase(code)}}
	}
	p := call.Plan{Steps: slices.Clone(st.again.Steps)}
	if st.replanned { // legs are numbered on, whatever the plan calls them
		for i := range p.Steps {
			targets := slices.Clone(p.Steps[i].Targets)
			for j := range targets {
				targets[j] = st.target(fmt.Sprint("B", st.legs+1))
				st.legs++
			}
			p.Steps[i].Targets = targets
		}
	}
	st.replanned = true
	return p
}

func (st *stage) Ping(sip.Flow)                          {}
func (st *stage) Punish(netip.Addr, string)              {}
func (st *stage) Answered(string, int, int)              {}
func (st *stage) MediaDead(int)                          {}
func (st *stage) LineChanged(LineView)                   {}
func (st *stage) PhoneRegistered(string, sip.Flow, bool) {}
func (st *stage) PhoneGone(string)                       {}
func (st *stage) MediaChanged(MediaView)                 {}
func (st *stage) Refused(string, sip.Flow, *sip.Request) {}
func (st *stage) InviteSilent(line string, _ int)        { st.note(news{texts: []string{"silent " + line}}) }
func (st *stage) CallChanged(v CallView)                 { st.note(news{state: v.State}) }
func (st *stage) CallEnded(v CallView) {
	reason, _, _ := strings.Cut(v.End.Reason, ": way to the peer lost")
	if reason != v.End.Reason {
		reason += ": connection lost"
	}
	st.note(news{texts: []string{strings.ReplaceAll(fmt.Sprintf("ended by=%s code=%d %s", v.End.Blame, v.End.Code, reason), "%", "%%")}})
}

// recorded is a stream that notes what is asked of it.
type recorded struct {
	st *stage
	at netip.AddrPort
}

// Open gives the next port.
func (st *stage) Open(side media.Side, _ Stream) (Stream, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.opened += 2
	return &recorded{st, netip.AddrPortFrom(side.Addr, 20000+st.opened)}, nil
}

// Bridge notes who hears whom.
func (st *stage) Bridge(a, b Stream) {
	st.note(news{texts: []string{"bridge %s %s"}, streams: []*recorded{a.(*recorded), b.(*recorded)}})
}

func (r *recorded) Local() netip.AddrPort     { return r.at }
func (r *recorded) OnDigit(func(media.Digit)) {}

// Press notes a key.
func (r *recorded) Press(d media.Digit) {
	r.st.note(news{texts: []string{fmt.Sprintf("press %%s %c %v", d.Key, d.Length)}, streams: []*recorded{r}})
}

// Play notes whether a tone is heard.
func (r *recorded) Play(src media.Source) {
	text := "ring-back %s"
	if src == nil {
		text = "quiet %s"
	}
	r.st.note(news{texts: []string{text}, streams: []*recorded{r}})
}

func (r *recorded) Stats() media.Stats { return media.Stats{} }
func (r *recorded) Pulse() media.Pulse { return media.Pulse{} }
func (r *recorded) Close()             { r.st.note(news{texts: []string{"close %s"}, streams: []*recorded{r}}) }

// Set notes the directions.
func (r *recorded) Set(f sdp.Flow) error {
	r.st.note(news{texts: []string{fmt.Sprintf("media %%s send=%v recv=%v%s", f.Send, f.Recv, faxWord(f))}, streams: []*recorded{r}})
	return nil
}

// faxWord is how the ladders tell a fax from speech.
func faxWord(f sdp.Flow) string {
	if f.UDPTL {
		return " fax"
	}
	return ""
}
