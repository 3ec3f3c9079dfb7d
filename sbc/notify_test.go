package sbc

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"linekeeper/sbc/call"
	"linekeeper/sbc/event"
	"linekeeper/sbc/sip"
)

// watches subscribes and answers the first NOTIFY; the SUBSCRIBE that counted,
// its answer and that NOTIFY are returned.
func (p *peer) watches(user, pack string, words ...string) (*sip.Request, *sip.Response, *sip.Request) {
	p.t.Helper()
	c := p.contact()
	req := p.request(sip.SUBSCRIBE, user, append([]string{"Event: " + pack, "Contact: <" + sip.URIText(&c) + ">", "Expires: 600"}, words...)...)
	p.send(req)
	resp := p.hears(401)
	again := p.prove(req, resp, p.name, "secret"+p.name, 0)
	p.send(again)
	ok := p.hears(200)
	first := p.gets(sip.NOTIFY)
	p.answers(first, 200)
	synctest.Wait()
	return again, ok, first
}

// told is the next NOTIFY, answered.
func (p *peer) told() *sip.Request {
	p.t.Helper()
	req := p.gets(sip.NOTIFY)
	p.answers(req, 200)
	synctest.Wait()
	return req
}

// refreshes repeats a SUBSCRIBE in its dialog, with credentials.
func (p *peer) refreshes(sub *sip.Request, ok *sip.Response, words ...string) {
	p.t.Helper()
	req := p.within(sub, ok, sip.SUBSCRIBE)
	c := p.contact()
	for _, w := range append([]string{"Event: " + sip.HeaderValue(sub, "Event"), "Contact: <" + sip.URIText(&c) + ">"}, words...) {
		name, value, _ := strings.Cut(w, ": ")
		req.AppendHeader(sip.NewHeader(name, value))
	}
	p.send(req)
	resp := p.hears(401)
	p.send(p.prove(req, resp, p.name, "secret"+p.name, 0))
}

// shown is a dialog-info document as a phone reads it.
type shown struct {
	Version int    `xml:"version,attr"`
	State   string `xml:"state,attr"`
	Entity  string `xml:"entity,attr"`
	Dialogs []struct {
		CallID    string `xml:"call-id,attr"`
		LocalTag  string `xml:"local-tag,attr"`
		RemoteTag string `xml:"remote-tag,attr"`
		Direction string `xml:"direction,attr"`
		State     string `xml:"state"`
		Remote    string `xml:"remote>identity"`
	} `xml:"dialog"`
}

func lampOf(t *testing.T, req *sip.Request) (l shown) {
	t.Helper()
	if err := xml.Unmarshal(req.Body(), &l); err != nil {
		t.Fatalf("%v in\n%s", err, sip.Bytes(req))
	}
	if l.State != "full" || l.Version != int(req.CSeq().SeqNo)-1 {
		t.Errorf("version %d state %s with number %d", l.Version, l.State, req.CSeq().SeqNo)
	}
	return l
}

func (l shown) String() string {
	var out []string
	for _, d := range l.Dialogs {
		out = append(out, d.Direction+" "+d.State+" "+d.Remote)
	}
	return strings.Join(out, ", ")
}

// shows plays NOTIFYs until nothing comes for a second and yields the last one's
// document; every number must not be below the one before.
func (p *peer) shows() shown {
	p.t.Helper()
	var l shown
	last := uint32(0)
	for {
		select {
		case m := <-p.in:
			req, ok := m.(*sip.Request)
			if !ok || req.Method != sip.NOTIFY {
				p.t.Fatalf("%s gets\n%s", p.name, sip.Bytes(m))
			}
			if n := req.CSeq().SeqNo; n < last { // the same one may come twice
				p.t.Errorf("number %d after %d", n, last)
			} else {
				last = n
			}
			p.answers(req, 200)
			l = lampOf(p.t, req)
		case <-time.After(time.Second):
			return l
		}
	}
}

// rest is a registered phone that only rings.
func (w *world) rest(ext string, host int) *peer {
	p := w.phone(ext, host)
	p.registers()
	return p
}

// ringsAndGivesUp calls a phone and cancels once it rings.
func (p *peer) ringsAndGivesUp(to *peer) {
	p.t.Helper()
	invite := p.dials(to.name)
	rung := to.gets(sip.INVITE)
	to.answers(rung, 180)
	p.hears(180)
	time.Sleep(time.Second) // what begins and ends in one moment nobody is told
	p.cancels(invite)
	p.hears(200)
	p.acks(invite, p.hears(487))
	to.answers(to.gets(sip.CANCEL), 200)
	to.answers(rung, 487)
	to.gets(sip.ACK)
}

func TestKeyFollowsTheCallsOfAPhone(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, watcher := w.phone("22", 10), w.phone("23", 11), w.phone("24", 12)
		for _, p := range []*peer{a, b} {
			p.registers()
		}
		sub, ok, first := watcher.watches("23", "dialog;id=7")
		if got := lampOf(t, first); len(got.Dialogs) != 0 || got.Entity != "sip:23@192.0.2.1" {
			t.Errorf("at rest the key shows %v", got)
		}
		if ev := sip.HeaderValue(first, "Event"); ev != "dialog;id=7" {
			t.Errorf("event %q", ev)
		}
		if st := sip.HeaderValue(first, "Subscription-State"); st != "active;expires=600" {
			t.Errorf("state %q", st)
		}
		if sip.ToTag(ok) != sip.FromTag(first) || sip.FromTag(sub) != sip.ToTag(first) || sip.HeaderValue(ok, "Expires") != "600" {
			t.Errorf("the notify is of another dialog than\n%s", sip.Bytes(ok))
		}
		if _, _, isCall := call.Owner(sip.ToTag(ok)); isCall {
			t.Error("its tag could be a call's")
		}
		invite := a.dials("23")
		rung := b.gets(sip.INVITE)
		b.answers(rung, 180)
		a.hears(180)
		l := watcher.shows()
		if l.String() != "recipient early sip:22@192.0.2.1" {
			t.Errorf("ringing it shows %v", l)
		}
		if d := l.Dialogs[0]; d.CallID != sip.CallIDOf(rung) || d.RemoteTag != sip.FromTag(rung) || d.LocalTag != "tag-23192.0.2.11" {
			t.Errorf("dialog %+v of\n%s", d, sip.Bytes(rung))
		}
		b.answers(rung, 200, "sdp")
		b.gets(sip.ACK)
		got := a.hears(200)
		a.acks(invite, got)
		if l = watcher.shows(); l.String() != "recipient confirmed sip:22@192.0.2.1" {
			t.Errorf("answered it shows %v", l)
		}
		talk{a, b, invite, rung, got}.end()
		if l = watcher.shows(); len(l.Dialogs) != 0 || l.Version == 0 {
			t.Errorf("afterwards it shows %v", l)
		}
	})
}

func TestKeyDoesNotShowWhoWithholdsTheNumber(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b, watcher := w.phone("22", 10), w.phone("23", 11), w.phone("24", 12)
		b.registers()
		watcher.watches("23", "dialog")
		invite := a.dials("23", "Privacy: id")
		b.answers(b.gets(sip.INVITE), 180)
		a.hears(180)
		if l := watcher.shows(); l.String() != "recipient early sip:anonymous@anonymous.invalid" {
			t.Errorf("it shows %v", l)
		}
		a.cancels(invite)
		a.hears(200)
		a.acks(invite, a.hears(487))
		b.answers(b.gets(sip.CANCEL), 200)
	})
}

func TestSubscriptionIsRefreshedAndEnded(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		sub, ok, _ := p.watches("23", "dialog")
		p.refreshes(sub, ok, "Expires: 300")
		if d := headerSeconds(t, p.hears(200), "Expires"); d != 5*time.Minute {
			t.Errorf("granted %v", d)
		}
		if st := sip.HeaderValue(p.told(), "Subscription-State"); st != "active;expires=299" && st != "active;expires=300" {
			t.Errorf("state %q", st)
		}
		p.refreshes(sub, ok, "Expires: 0")
		p.hears(200)
		if st := sip.HeaderValue(p.told(), "Subscription-State"); st != "terminated;reason=timeout" {
			t.Errorf("state %q", st)
		}
		p.refreshes(sub, ok, "Expires: 300")
		p.hears(481)
		if len(w.s.Watching()) != 0 {
			t.Errorf("left are %v", w.s.Watching())
		}
	})
}

func TestSubscriptionThatIsNotRefreshedRunsOut(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		p.watches("23", "dialog", "X: y")
		time.Sleep(601 * time.Second)
		if st := sip.HeaderValue(p.told(), "Subscription-State"); st != "terminated;reason=timeout" {
			t.Errorf("state %q", st)
		}
		time.Sleep(time.Second)
		w.subs.mu.Lock()
		defer w.subs.mu.Unlock()
		if len(w.subs.kept) != 0 {
			t.Errorf("the saver still has %v", w.subs.kept)
		}
	})
}

func TestPhoneThatForgotOrVanishedIsLetGo(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		forgot, gone, call := w.phone("22", 10), w.phone("23", 11), w.phone("24", 12)
		forgot.watches("24", "dialog")
		gone.watches("24", "dialog")
		call.ringsAndGivesUp(w.rest("23", 30))
		forgot.answers(forgot.gets(sip.NOTIFY), 481)
		time.Sleep(time.Minute) // the other one keeps silent for 64*T1
		if left := w.s.Watching(); len(left) != 0 {
			t.Errorf("left are %v", left)
		}
	})
}

func TestSubscriptionsThatCannotBe(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		c := p.contact()
		contact := "Contact: <" + sip.URIText(&c) + ">"
		for _, row := range []struct {
			name  string
			code  int
			user  string
			words []string
			want  string // "Header: value" of the answer
		}{
			{"no event", 489, "23", []string{contact}, "Allow-Events: dialog, message-summary, reg"},
			{"unknown event", 489, "23", []string{contact, "Event: presence"}, "Allow-Events: dialog, message-summary, reg"},
			{"nobody there", 404, "99", []string{contact, "Event: dialog"}, ""},
			{"another's mailbox", 403, "23", []string{contact, "Event: message-summary"}, ""},
			{"no contact", 400, "23", []string{"Event: dialog"}, ""},
			{"unreadable documents", 406, "23", []string{contact, "Event: dialog", "Accept: application/pidf+xml"}, "Accept: application/dialog-info+xml"},
			{"too short", 423, "23", []string{contact, "Event: dialog", "Expires: 5"}, "Min-Expires: 60"},
		} {
			req := p.request(sip.SUBSCRIBE, row.user, row.words...)
			p.send(req)
			resp, _ := p.next().(*sip.Response)
			if resp.StatusCode == 401 {
				p.send(p.prove(req, resp, "22", "secret22", 0))
				resp, _ = p.next().(*sip.Response)
			}
			if resp.StatusCode != row.code {
				t.Errorf("%s: %d", row.name, resp.StatusCode)
			}
			if name, value, _ := strings.Cut(row.want, ": "); sip.HeaderValue(resp, name) != value {
				t.Errorf("%s: answer is\n%s", row.name, sip.Bytes(resp))
			}
		}
		p.quiet()
		stranger := w.cloud(66)
		stranger.send(stranger.request(sip.SUBSCRIBE, "22", "Event: dialog", contact))
		stranger.hears(403)
	})
}

func TestSubscriptionWithoutItsPasswordIsNotTouched(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		a, b := w.phone("22", 10), w.phone("23", 11)
		sub, ok, _ := a.watches("24", "dialog")
		// 23 knows the dialog and proves itself, but it isn't 23's.
		req := a.within(sub, ok, sip.SUBSCRIBE)
		for _, h := range []string{"Event: dialog", "Contact: <sip:23@192.0.2.11>", "Expires: 0"} {
			name, value, _ := strings.Cut(h, ": ")
			req.AppendHeader(sip.NewHeader(name, value))
		}
		b.send(req)
		resp := b.hears(401)
		b.send(b.prove(req, resp, "23", "secret23", 0))
		b.hears(403)
		a.quiet()
	})
}

func TestLampOfTheMailbox(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		_, _, first := p.watches("22", "message-summary", "Accept: application/simple-message-summary")
		if got := string(first.Body()); got != "Messages-Waiting: no\r\nMessage-Account: sip:22@192.0.2.1\r\nVoice-Message: 0/0 (0/0)\r\n" {
			t.Errorf("empty mailbox:\n%s", got)
		}
		w.s.SetMailbox(CloudMailbox, "22", event.Counts{New: 2, Old: 1})
		w.s.SetMailbox(LocalMailbox, "22", event.Counts{New: 1})
		w.s.SetMailbox(LocalMailbox, "23", event.Counts{New: 9})
		var body string
		for range 2 {
			time.Sleep(time.Second)
			select {
			case m := <-p.in:
				body = string(m.Body())
				p.answers(m.(*sip.Request), 200)
			default:
			}
		}
		if !strings.Contains(body, "Messages-Waiting: yes\r\n") || !strings.Contains(body, "Voice-Message: 3/1 (0/0)") {
			t.Errorf("both mailboxes:\n%s", body)
		}
		w.s.SetMailbox(LocalMailbox, "22", event.Counts{New: 1})
		time.Sleep(time.Second)
		p.quiet() // nothing has changed
	})
}

func TestRegistrationIsWatched(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		own, other, phone := w.phone("23", 12), w.phone("22", 10), w.phone("23", 11)
		_, _, first := own.watches("23", "reg")
		if !strings.Contains(string(first.Body()), `state="terminated"`) {
			t.Errorf("before:\n%s", first.Body())
		}
		other.watches("23", "reg")
		phone.registers()
		if b := string(own.told().Body()); !strings.Contains(b, `state="active"`) || !strings.Contains(b, "192.0.2.11") {
			t.Errorf("to the owner:\n%s", b)
		}
		if b := string(other.told().Body()); !strings.Contains(b, `state="active"`) || strings.Contains(b, "192.0.2.11") {
			t.Errorf("to another:\n%s", b)
		}
		phone.registers("Contact: *", "Expires: 0")
		if b := string(other.told().Body()); !strings.Contains(b, `<registration aor="sip:23@192.0.2.1" id="a1" state="terminated">`) {
			t.Errorf("afterwards:\n%s", b)
		}
		own.told()
	})
}

// TestKeysLiveOverACrash kills the box without a word: nothing is asked anew,
// and numbers and versions rise.
func TestKeysLiveOverACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := newWorld(t, nil)
		before.run()
		p := before.phone("22", 10)
		_, _, first := p.watches("23", "dialog;id=9")
		before.s.SetMailbox(CloudMailbox, "22", event.Counts{New: 4})
		time.Sleep(time.Second) // the saver has it
		kept, _ := before.subs.Load()
		boxes, _ := before.boxes.Load()
		before.stop()

		after := newWorld(t, nil)
		after.subs.kept, after.boxes.kept = kept, boxes
		after.run()
		defer after.stop()
		q, busy := after.phone("22", 10), after.phone("23", 11)
		again := q.told()
		if sip.FromTag(again) != sip.FromTag(first) || sip.ToTag(again) != sip.ToTag(first) || sip.CallIDOf(again) != sip.CallIDOf(first) {
			t.Errorf("another dialog:\n%s", sip.Bytes(again))
		}
		if again.CSeq().SeqNo <= first.CSeq().SeqNo || sip.HeaderValue(again, "Event") != "dialog;id=9" {
			t.Errorf("after number %d\n%s", first.CSeq().SeqNo, sip.Bytes(again))
		}
		busy.ringsAndGivesUp(after.rest("24", 30))
		if l := q.shows(); len(l.Dialogs) != 0 || l.Version < int(again.CSeq().SeqNo) {
			t.Errorf("then %v", l)
		}
		lampless := after.phone("22", 13)
		_, _, summary := lampless.watches("22", "message-summary")
		if !strings.Contains(string(summary.Body()), "Voice-Message: 4/0") {
			t.Errorf("the mailbox was forgotten:\n%s", summary.Body())
		}
	})
}

func TestSaverThatFailsIsTriedAgain(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p := w.phone("22", 10)
		w.subs.fail = errors.New("disk full")
		p.watches("23", "dialog")
		time.Sleep(5 * time.Second)
		w.subs.mu.Lock()
		w.subs.fail = nil
		w.subs.mu.Unlock()
		time.Sleep(2 * time.Second)
		w.subs.mu.Lock()
		defer w.subs.mu.Unlock()
		if len(w.subs.kept) != 1 {
			t.Errorf("kept %d", len(w.subs.kept))
		}
	})
}

func TestExtensionThatLeavesTheSiteEndsItsKeys(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p, q := w.phone("22", 10), w.phone("24", 11)
		p.watches("24", "dialog")
		q.watches("22", "dialog")
		next := *w.cfg
		next.Extensions = map[string]Extension{"22": w.cfg.Extensions["22"], "23": w.cfg.Extensions["23"]}
		w.s.Configure(&next)
		if st := sip.HeaderValue(p.told(), "Subscription-State"); st != "terminated;reason=noresource" {
			t.Errorf("watched is gone: %q", st)
		}
		if st := sip.HeaderValue(q.told(), "Subscription-State"); st != "terminated;reason=rejected" {
			t.Errorf("watcher is gone: %q", st)
		}
	})
}

// TestStormOfThousandKeys lets a thousand keys watch one phone whose calls come
// and go: each key is told, and none has two NOTIFYs out.
func TestStormOfThousandKeys(t *testing.T) {
	const keys = 500
	inWorld(t, nil, func(t *testing.T, w *world) {
		c, ringer := w.phone("24", 9), w.rest("23", 30)
		var phones []*peer
		for i, ext := range []string{"22", "23"} {
			p := w.phone(ext, 20+i)
			phones = append(phones, p)
			for k := range keys {
				p.watches("24", fmt.Sprintf("dialog;id=%d", k))
			}
		}
		for range 5 {
			c.ringsAndGivesUp(ringer)
		}
		time.Sleep(10 * time.Second) // of silence: all that may be out is out, and repeated
		for _, p := range phones {
			out := map[string]uint32{}
			answer := map[string]*sip.Request{}
			for len(p.in) > 0 {
				req := (<-p.in).(*sip.Request)
				id := sip.CallIDOf(req)
				if was, again := out[id]; again && was != req.CSeq().SeqNo {
					t.Fatalf("two NOTIFYs out: %d and %d", was, req.CSeq().SeqNo)
				}
				out[id], answer[id] = req.CSeq().SeqNo, req
			}
			if len(out) != keys {
				t.Errorf("%d keys of %s were told", len(out), p.name)
			}
			for _, req := range answer {
				p.answers(req, 200)
			}
			for len(answer) > 0 {
				synctest.Wait()
				select {
				case m := <-p.in:
					req := m.(*sip.Request)
					if l := lampOf(t, req); len(l.Dialogs) != 0 {
						t.Errorf("a key ends with %v", l)
					}
					p.answers(req, 200)
				case <-time.After(5 * time.Second):
					clear(answer)
				}
			}
		}
		if n := w.s.Watching()["22"]; n != keys {
			t.Errorf("%d keys are left", n)
		}
	})
}

func TestPhoneThatLostItsConnectionIsToldOnTheNewOne(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		flow := sip.Flow{Zone: LAN, Transport: sip.TCP, Local: netip.MustParseAddrPort("192.0.2.1:5060"), Remote: netip.MustParseAddrPort("192.0.2.10:40001"), Conn: 3}
		old := w.join("22", flow)
		old.registers()
		_, _, first := old.watches("23", "dialog")
		caller, ringer := w.phone("24", 9), w.rest("23", 30)
		old.gone = true
		caller.ringsAndGivesUp(ringer)
		time.Sleep(time.Second)
		if w.s.Watching()["22"] != 1 {
			t.Fatal("a broken connection ended the subscription")
		}
		flow.Remote, flow.Conn = netip.MustParseAddrPort("192.0.2.10:40002"), 4
		back := w.join("22", flow)
		back.registers()
		again := back.told()
		if sip.CallIDOf(again) != sip.CallIDOf(first) || again.CSeq().SeqNo <= first.CSeq().SeqNo || len(lampOf(t, again).Dialogs) != 0 {
			t.Errorf("told\n%s", sip.Bytes(again))
		}
	})
}

func TestOnePhoneCannotTakeAllTheRoom(t *testing.T) {
	inWorld(t, nil, func(t *testing.T, w *world) {
		p, other := w.phone("22", 10), w.phone("24", 11)
		for range maxNoticesEach {
			p.watches("23", "dialog")
		}
		c := p.contact()
		resp := p.asks(p.request(sip.SUBSCRIBE, "23", "Event: dialog", "Contact: <"+sip.URIText(&c)+">"))
		if resp.StatusCode != 503 || sip.HeaderValue(resp, "Retry-After") != "60" {
			t.Errorf("one more gets\n%s", sip.Bytes(resp))
		}
		other.watches("23", "dialog")
	})
}
