package cloud

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emiago/sipgo/sip"

	"linekeeper/appliance/lab/ua"
	"linekeeper/appliance/lab/voice"
)

// handler is the cloud as its agents see it.
type handler struct{ c *Cloud }

// Admit lets a request through, if the present fault does and its credentials are good.
func (h handler) Admit(ctx context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) bool {
	c := h.c
	if !c.speaks(a, req, tx) {
		return false
	}
	f := c.Fault()
	if f.DeafToInvite && req.Method == sip.INVITE {
		tx.Terminate()
		c.count(func(s *Stats) { s.Dropped++ })
		return false
	}
	if f.Slow > 0 && !pause(ctx, f.Slow) {
		return false
	}
	if f.Refusing {
		var headers []sip.Header
		if f.RetryAfter > 0 {
			headers = append(headers, sip.NewHeader("Retry-After", strconv.Itoa(int(math.Ceil(f.RetryAfter.Seconds())))))
		}
		a.Respond(tx, req, 503, "Service Unavailable", headers...)
		return false
	}
	if req.Method != sip.INVITE || req.To().Params.Has("tag") {
		return true
	}
	user := req.From().Address.User
	if user == "anonymous" { // RFC 3323 4.1: who calls stands in the credentials alone
		user = c.proverOf(req)
	}
	switch v := c.judge(req, "Proxy-Authorization", user); v {
	case proven:
		return true
	case missing, outdated:
		a.Respond(tx, req, 407, "Proxy Authentication Required", c.challenges("Proxy-Authenticate", v == outdated)...)
	case wrong:
		c.count(func(s *Stats) { s.BadCredentials++ })
		c.wrongTry(user)
		a.Respond(tx, req, 403, "Forbidden")
	}
	return false
}

// pause waits d; false if ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// Asked serves what is no call.
func (h handler) Asked(_ context.Context, a *ua.Agent, req *sip.Request, tx *sip.ServerTx) {
	switch req.Method {
	case sip.REGISTER:
		h.c.register(a, req, tx)
	case sip.OPTIONS:
		h.c.count(func(s *Stats) { s.Options++ })
		a.Respond(tx, req, 200, "OK", sip.NewHeader("Accept", "application/sdp"))
	case sip.NOTIFY, sip.MESSAGE, sip.PUBLISH:
		a.Respond(tx, req, 200, "OK")
	case sip.SUBSCRIBE:
		a.Respond(tx, req, 489, "Bad Event")
	default:
		a.Respond(tx, req, 405, "Method Not Allowed")
	}
}

// Media makes the cloud's end of a call.
func (h handler) Media(call *ua.Call) (ua.Media, error) {
	c := h.c
	if c.cfg.Media != nil {
		return c.cfg.Media(call)
	}
	script, outside := c.script(call.Called())
	cfg := voice.Config{
		Addr:    c.cfg.Listen[0].Addr.Addr(),
		Terms:   voice.Terms{Security: c.cfg.Security, Suites: c.cfg.Suites, Codecs: c.cfg.Codecs},
		Blocked: c.gate.Blocked,
	}
	if outside && !call.Outgoing() {
		cfg.Tone, cfg.Echo = script.Tone, script.Does == Echoes
	}
	return voice.Open(cfg, c.pacer)
}

// Invited routes a call of one of the accounts.
func (h handler) Invited(ctx context.Context, call *ua.Call) {
	c := h.c
	c.count(func(s *Stats) { s.Invites++ })
	c.track(call)
	number := call.Called()
	if strings.HasPrefix(number, "*") || strings.HasPrefix(number, "%23") || strings.HasPrefix(number, "#") {
		if c.code(call) {
			c.play(ctx, call, codeScript())
			return
		}
		c.done(call, call.Reject(404, "No Such Code"))
		return
	}
	if code, phrase := c.judgeCall(call); code != 0 {
		c.done(call, call.Reject(code, phrase))
		return
	}
	if user, ok := c.account(number); ok {
		c.connect(ctx, call, user)
		return
	}
	script, ok := c.script(number)
	if !ok {
		c.done(call, call.Reject(404, "Not Found"))
		return
	}
	c.mu.Lock()
	if len(c.arrived) < maxArrived {
		c.arrived = append(c.arrived, call)
	}
	c.tellLocked()
	c.mu.Unlock()
	c.play(ctx, call, script)
}

func (c *Cloud) account(number string) (user string, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.accounts[number]; ok {
		return number, true
	}
	user, ok = c.byNumber[digits(number)]
	return user, ok
}

func (c *Cloud) script(number string) (Script, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for n, s := range c.cfg.Outside {
		if digits(n) == digits(number) {
			return s, true
		}
	}
	if c.cfg.Unknown != nil {
		return *c.cfg.Unknown, true
	}
	return Script{}, false
}

// SetOutside adds or replaces an outside subscriber.
func (c *Cloud) SetOutside(number string, s Script) {
	c.mu.Lock()
	defer c.mu.Unlock()
	outside := map[string]Script{number: s}
	for n, old := range c.cfg.Outside {
		if digits(n) != digits(number) {
			outside[n] = old
		}
	}
	c.cfg.Outside = outside
}

// play follows an outside subscriber's script.
func (c *Cloud) play(ctx context.Context, call *ua.Call, s Script) {
	switch s.Does {
	case Busy:
		c.done(call, call.Reject(486, "Busy Here"))
		return
	case Mute:
		return
	case Rejects:
		if pause(ctx, s.RingAfter) {
			c.done(call, call.Reject(max(s.Code, 300), s.Phrase))
		}
		return
	case Answers, Echoes, NoAnswer:
	}
	if !c.pauseCall(ctx, call, s.RingAfter) {
		return
	}
	c.done(call, call.Ring(s.Early))
	if s.Does == NoAnswer || !c.pauseCall(ctx, call, s.AnswerAfter) {
		return
	}
	c.done(call, call.Answer())
	if s.HangupAfter > 0 && c.pauseCall(ctx, call, s.HangupAfter) {
		c.done(call, call.Hangup(ctx))
	}
}

// pauseCall waits d; false if the call ended meanwhile.
func (c *Cloud) pauseCall(ctx context.Context, call *ua.Call, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-call.Over():
	case <-timer.C:
		return call.State() != ua.Ended
	}
	return false
}

func (c *Cloud) done(call *ua.Call, err error) {
	if err != nil {
		c.log.Debug("cloud call", "call", call.ID(), "err", err)
	}
}

// connect joins a call with one to an account's newest contact.
func (c *Cloud) connect(ctx context.Context, in *ua.Call, user string) {
	out, err := c.ring(ctx, user, in.Peer(), "", nil)
	if err != nil {
		c.done(in, in.Reject(480, "Temporarily Unavailable"))
		return
	}
	defer func() { c.done(out, out.Hangup(ctx)) }()
	stopped := make(chan struct{})
	defer close(stopped)
	c.tasks.Go(func() {
		select {
		case <-in.Over():
			c.done(out, out.Hangup(ctx))
		case <-stopped:
		}
	})
	if out.WaitState(ctx, ua.Ringing) == nil && out.State() == ua.Ringing {
		c.done(in, in.Ring(false))
	}
	if out.WaitState(ctx, ua.Talking) != nil {
		end := out.View().End
		c.done(in, in.Reject(max(end.Code, 480), end.Reason))
		return
	}
	if err := in.Answer(); err != nil {
		c.done(in, err)
		return
	}
	if a, b := in.Voice(), out.Voice(); a != nil && b != nil {
		voice.Bridge(a, b)
	}
	select {
	case <-ctx.Done():
	case <-in.Over():
	case <-out.Over():
		c.done(in, in.Hangup(ctx))
	}
}

// Call places a call from the number from to an account's registered contact, sending
// tone Hz once it is answered. It returns once the INVITE is sent.
func (c *Cloud) Call(ctx context.Context, user, from string, tone float64) (*ua.Call, error) {
	return c.CallWith(ctx, user, from, tone, nil)
}

// CallWith is Call with more headers in the INVITE.
func (c *Cloud) CallWith(ctx context.Context, user, from string, tone float64, headers map[string]string) (*ua.Call, error) {
	call, err := c.ring(ctx, user, from, "", headers)
	if err != nil {
		return nil, err
	}
	if v := call.Voice(); v != nil {
		v.SetTone(tone)
	}
	return call, nil
}

func (c *Cloud) ring(ctx context.Context, user, from, name string, headers map[string]string) (*ua.Call, error) {
	c.mu.Lock()
	live := slices.Clone(c.liveLocked(user))
	agents := c.agents
	c.mu.Unlock()
	if len(live) == 0 {
		return nil, fmt.Errorf("cloud: account %s is not registered", user)
	}
	b := live[len(live)-1]
	if b.listen < 0 || b.listen >= len(agents) {
		return nil, fmt.Errorf("cloud: the flow of account %s is gone", user)
	}
	all := map[string]string{"P-Asserted-Identity": "<sip:" + from + "@" + c.cfg.Domain + ">"}
	for k, v := range headers {
		all[k] = v
	}
	call, err := agents[b.listen].Call(ctx, ua.Invitation{
		To: sip.Uri{Scheme: "sip", User: user, Host: c.cfg.Domain}, Target: b.uri, Dest: b.Source,
		From: sip.Uri{Scheme: "sip", User: from, Host: c.cfg.Domain}, Name: name, Headers: all,
	})
	if err != nil {
		return nil, fmt.Errorf("cloud: %w", err)
	}
	c.track(call)
	return call, nil
}

// Arrived waits for the next call to an outside number; each call is given once.
func (c *Cloud) Arrived(ctx context.Context, number string) (*ua.Call, error) {
	var found *ua.Call
	err := c.wait(ctx, func() bool {
		i := slices.IndexFunc(c.arrived, func(call *ua.Call) bool { return digits(call.Called()) == digits(number) })
		if i < 0 {
			return false
		}
		found = c.arrived[i]
		c.arrived = slices.Delete(c.arrived, i, i+1)
		return true
	})
	if err != nil {
		return nil, fmt.Errorf("cloud: waiting for a call to %s: %w", number, err)
	}
	return found, nil
}
