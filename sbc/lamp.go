package sbc

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"strings"
	"time"

	"linekeeper/appliance/loop"
	"linekeeper/sbc/dialog"
	"linekeeper/sbc/event"
	"linekeeper/sbc/exchange"
	"linekeeper/sbc/line"
	"linekeeper/sbc/sip"
)

// lampTag begins our tag of a subscription at the cloud.
const lampTag = "lamp."

// lampExpires is how long a subscription at the cloud is asked to last.
const lampExpires = time.Hour

// lamp watches an account's mailbox at the cloud (RFC 3842) while its line is
// registered. In an outage the subscription is kept and refreshed afterwards.
type lamp struct {
	s     *Switch
	owner *lineOwner
	log   *slog.Logger
	token string
	loop  *loop.Loop[lampInput, event.SubscriberEffect]
	m     *event.Subscriber

	// The rest belongs to the lamp's goroutine.
	dlg       *dialog.Dialog
	way       path // the one that the last SUBSCRIBE took
	challenge *sip.Challenge
	nonces    uint32
}

// lampInput is an input of the machine with the message that brought it.
type lampInput struct {
	in     event.SubscriberInput
	resp   *sip.Response
	tx     *exchange.Server // of a NOTIFY
	notify *sip.Request
}

func newLamp(o *lineOwner) *lamp {
	l := &lamp{s: o.s, owner: o, log: o.log, token: o.s.random()}
	l.m = event.NewSubscriber(event.SubscriberConfig{Expires: lampExpires, Rand: rand.Float64})
	l.loop = loop.New[lampInput, event.SubscriberEffect](l, inboxDepth, l.perform)
	return l
}

func (l *lamp) run(ctx context.Context) {
	if err := l.loop.Run(ctx); err != nil {
		l.log.Error("subscription at the cloud ended by a defect", "err", err)
	}
}

func (l *lamp) post(in event.SubscriberInput) {
	if err := l.loop.Post(lampInput{in: in}); errors.Is(err, loop.ErrBusy) {
		l.log.Warn("subscription at the cloud takes no input", "err", err)
	}
}

// line lets the subscription follow its line.
func (l *lamp) line(st line.State) {
	switch st {
	case line.Bound:
		delay := time.Duration(rand.Float64() * float64(time.Second))
		l.post(event.Start{Delay: delay})
		l.post(event.Reachable{Delay: delay})
	case line.Leaving, line.Gone:
		l.post(event.Leave{})
	default: // there is no way to the cloud, or none that it would take
		l.post(event.Cut{})
	}
}

// Step is the machine's, with what its messages say about the dialog.
func (l *lamp) Step(now time.Time, in lampInput) []event.SubscriberEffect {
	switch {
	case in.notify != nil:
		st, ok := l.notified(in)
		if !ok {
			return nil
		}
		return l.m.Step(now, event.Notified{State: st})
	case in.resp != nil:
		if cs := sip.Challenges(in.resp); len(cs) > 0 {
			l.challenge, l.nonces = &cs[0], 0
		}
		if in.resp.IsSuccess() && l.dlg != nil {
			if err := l.dlg.Learn(in.resp); err != nil {
				l.log.Info("subscription at the cloud cannot be used", "err", err)
				l.dlg = nil
			}
		}
	}
	return l.m.Step(now, in.in)
}

func (l *lamp) perform(_ context.Context, tm *loop.Timers[lampInput], e event.SubscriberEffect) []lampInput {
	switch e := e.(type) {
	case event.Subscribe:
		return l.subscribe(e)
	case event.WakeAfter:
		tm.Arm("wake", e.D, lampInput{in: event.Awake{}})
	case event.Became:
		l.log.Info("mailbox at the cloud", "state", string(e.Standing))
		if e.Standing == event.Gone {
			tm.End()
		}
	}
	return nil
}

// subscribe sends a SUBSCRIBE on the line's present way.
func (l *lamp) subscribe(e event.Subscribe) []lampInput {
	c := l.owner.cfg.Load()
	flow, routes, ok := l.s.lines.way(c.line.Account, false)
	switch {
	case ok:
		l.way = path{flow, routes}
	case e.Expires == 0: // the line is leaving as well
		flow, routes = l.way.flow, l.way.routes
	default:
		return []lampInput{{in: event.Silent{Try: e.Try}}}
	}
	contact := contactURI(c.line.Account, flow)
	if e.Fresh || l.dlg == nil {
		aor := sip.URI{Scheme: "sip", User: c.line.Account, Host: c.trunk.Domain}
		l.dlg = dialog.Calling(l.s.random(), lampTag+l.token, dialog.Address{URI: aor}, dialog.Address{URI: aor}, aor, contact, routes)
	}
	l.dlg.Contact = contact
	d := l.dlg.Draft(sip.SUBSCRIBE)
	d.Headers = []sip.Header{event.Event{Package: event.Summary}.Header(), sip.NewHeader("Accept", event.Summary.Type()),
		sip.ExpiresHeader(e.Expires), sip.NewHeader("Allow", Allow), sip.NewHeader("User-Agent", c.agent)}
	if e.Auth && l.challenge != nil {
		l.nonces++
		auth, err := sip.Authorize(*l.challenge, sip.Credentials{User: c.line.Auth, Password: c.line.Password}, sip.SUBSCRIBE,
			sip.URIText(&d.Target), nil, l.s.random(), l.nonces)
		if err == nil {
			d.Headers = append(d.Headers, auth)
		}
	}
	l.s.exchange.Do(d.Request(), anyConn(flow), func(ev exchange.ClientEvent) { l.answered(e, ev) })
	return nil
}

func (l *lamp) answered(e event.Subscribe, ev exchange.ClientEvent) {
	if ev.Err != nil {
		l.post(event.Silent{Try: e.Try})
		return
	}
	resp := ev.Response
	if resp.StatusCode < 200 {
		return
	}
	a := event.Answer{Try: e.Try, Code: resp.StatusCode}
	a.Expires, _ = sip.ExpiresOf(resp)
	a.RetryAfter, _ = sip.RetryAfterOf(resp)
	a.MinExpires, _ = sip.MinExpiresOf(resp)
	if cs := sip.Challenges(resp); len(cs) > 0 {
		a.Stale = cs[0].Stale
	}
	if err := l.loop.Post(lampInput{in: a, resp: resp}); errors.Is(err, loop.ErrBusy) {
		l.log.Warn("answer of the cloud's mailbox lost", "err", err) // the refresh mends it
	}
}

// notified answers a NOTIFY of the subscription and takes what it tells; ok is
// false when it isn't one.
func (l *lamp) notified(in lampInput) (event.State, bool) {
	req := in.notify
	st, told := event.StateOf(req)
	code := 200
	switch {
	case l.dlg == nil || sip.CallIDOf(req) != l.dlg.CallID || l.dlg.RemoteTag != "" && l.dlg.RemoteTag != sip.FromTag(req):
		code = 481
	case !told:
		code = 400
	case l.dlg.Receive(req) != nil:
		code = 500
	default:
		l.dlg.RemoteTag = sip.FromTag(req) // it may come before the 2xx (RFC 6665 4.1.2.4)
		l.dlg.Refresh(req)
		code = l.s.mailboxTold(l.owner.cfg.Load().line.Extension, req)
	}
	l.s.answer(in.tx, req, code)
	return st, code == 200
}

// mailboxTold takes the summary in a NOTIFY of the cloud and yields the code to
// answer. One without a body tells nothing.
func (s *Switch) mailboxTold(ext string, req *sip.Request) int {
	what, ok := event.Of(req)
	ct := req.ContentType()
	switch {
	case !ok || what.Package != event.Summary:
		return 489
	case len(req.Body()) == 0:
		return 200
	case ct == nil || !strings.HasPrefix(strings.ToLower(ct.Value()), event.Summary.Type()):
		return 415
	}
	c, err := event.ParseSummary(req.Body())
	if err != nil {
		s.log.Info("mailbox told what cannot be read", "ext", ext, "err", err)
		return 400
	}
	s.SetMailbox(CloudMailbox, ext, c)
	return 200
}

// told takes a NOTIFY from the cloud: of a subscription, by our tag, or one that
// nobody has asked for (RFC 3842 leaves it out, PBXes do it).
func (s *Switch) told(tx *exchange.Server, req *sip.Request, flow sip.Flow, tag string) {
	if lanZone(flow.Zone) || !s.lines.knows(flow.Remote.Addr()) {
		s.answer(tx, req, 481)
		return
	}
	if req.Method != sip.NOTIFY {
		s.answer(tx, req, 405)
		return
	}
	if tag == "" {
		l, ok := s.cfg.Load().account(req)
		if !ok {
			s.answer(tx, req, 404)
			return
		}
		s.answer(tx, req, s.mailboxTold(l.Extension, req))
		return
	}
	l := s.lines.lamp(strings.TrimPrefix(tag, lampTag))
	if l == nil {
		s.answer(tx, req, 481)
		return
	}
	switch err := l.loop.Post(lampInput{tx: tx, notify: req}); {
	case errors.Is(err, loop.ErrEnded):
		s.answer(tx, req, 481)
	case err != nil:
		s.unavailable(tx, req, time.Second)
	}
}
