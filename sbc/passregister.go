package sbc

import (
	"net/netip"
	"strings"
	"sync/atomic"
	"time"

	"linekeeper/sbc/exchange"
	"linekeeper/sbc/location"
	"linekeeper/sbc/sip"
)

// passing is a REGISTER of a phone that registers through the box.
type passing struct {
	p         *passages
	cfg       *Config
	tx        *exchange.Server
	req       *sip.Request
	flow      sip.Flow // the phone's
	user, ext string
	instance  string

	leave, come []location.Binding
	account     Passage // what is known of it
	proven      bool    // the device has proved itself before
	done        atomic.Bool
}

// register takes a REGISTER for an account of the cloud.
func (p *passages) register(tx *exchange.Server, req *sip.Request, flow sip.Flow, cfg *Config, user, ext string) {
	r := &passing{p: p, cfg: cfg, tx: tx, req: req, flow: flow, user: user, ext: ext}
	now := time.Now()
	if code := r.read(now); code != 0 {
		r.refuse(code)
		return
	}
	r.account, _ = p.ledger.get(user)
	r.proven = r.account.proved(now, flow.Remote.Addr(), r.instance)
	bound := p.s.location.Lookup(now, ext)
	away := p.cut.Load() || len(*p.s.lines.targets.Load()) == 0
	switch {
	case len(r.come) == 0 && len(r.leave) > 0 && r.stays(bound): // others of the account are still there
		if !from(bound, flow.Remote.Addr()) {
			p.s.watch.Refused("registration of an account that others hold", flow, req)
			r.refuse(403)
			return
		}
		r.settle(now)
	case away && r.proven:
		r.settle(now)
	case away:
		p.s.watch.Refused("a phone that never proved itself, while the cloud is away", flow, req)
		p.s.unavailable(tx, req, passRetry)
	case len(r.come) > 0 && r.proven && r.fresh(bound, now):
		r.settle(now)
	default:
		r.forward(now)
	}
}

// read sorts the contacts; a code other than 0 says why they can't be taken.
func (r *passing) read(now time.Time) int {
	contacts := sip.Contacts(r.req)
	if len(contacts) > location.MaxContacts {
		return 400
	}
	path, code := pathOf(r.req)
	if code != 200 {
		return code
	}
	for _, c := range contacts {
		if c.Address.Wildcard {
			if d, ok := sip.ExpiresOf(r.req); !ok || d != 0 || len(contacts) != 1 {
				return 400
			}
			for _, b := range r.p.s.location.Lookup(now, r.ext) { // its own: the account may have other phones
				if b.Flow.Remote.Addr() == r.flow.Remote.Addr() {
					r.leave = append(r.leave, r.numbered(b))
				}
			}
			continue
		}
		if c.Address.Host == "" {
			return 400
		}
		asked := sip.ContactExpires(r.req, c, r.cfg.MaxExpires)
		if asked > 0 && asked < r.cfg.MinExpires {
			return 423
		}
		b := r.numbered(binding(r.ext, r.req, c, r.flow))
		b.Path = path
		if b.Instance != "" {
			r.instance = b.Instance
		}
		if asked == 0 {
			r.leave = append(r.leave, b)
			continue
		}
		b.Expires = now.Add(min(asked, r.cfg.MaxExpires))
		r.come = append(r.come, b)
	}
	return 0
}

func (r *passing) numbered(b location.Binding) location.Binding {
	b.CSeq, _ = sip.Seq(r.req)
	b.CallID = sip.CallIDOf(r.req)
	return b
}

// stays says whether contacts are left once those that leave are gone.
func (r *passing) stays(bound []location.Binding) bool {
	left := len(bound)
	for i := range bound {
		for j := range r.leave {
			if b, l := &bound[i], &r.leave[j]; b.URI == l.URI || b.Instance != "" && b.Instance == l.Instance {
				left--
				break
			}
		}
	}
	return left > 0
}

// fresh says whether the box may answer: the same phone at the same place, and
// the cloud's time is not half over yet.
func (r *passing) fresh(bound []location.Binding, now time.Time) bool {
	r.p.mu.Lock()
	there := r.p.ways[r.user] != nil
	r.p.mu.Unlock()
	if left := r.account.Expires.Sub(now); !there || left <= max(r.account.Granted/2, passMargin) {
		return false
	}
	for i := range r.come {
		if !same(bound, &r.come[i]) {
			return false
		}
	}
	return true
}

// same says whether a contact is bound already, from the same address and by the
// same instance, URI or socket.
func same(bound []location.Binding, c *location.Binding) bool {
	for i := range bound {
		b := &bound[i]
		if b.Flow.Zone == c.Flow.Zone && b.Flow.Remote.Addr() == c.Flow.Remote.Addr() &&
			(b.Instance != "" && b.Instance == c.Instance || b.URI == c.URI || b.Flow == c.Flow) {
			return true
		}
	}
	return false
}

// settle binds the contacts at the box and tells the phone so.
func (r *passing) settle(now time.Time, extra ...sip.Header) {
	if !r.done.CompareAndSwap(false, true) {
		return
	}
	most := passExpires
	if r.p.cut.Load() {
		most = passAway
	}
	if left := r.account.Expires.Sub(now); left > 0 {
		most = min(most, left)
	}
	for i := range r.come {
		b := &r.come[i]
		b.Expires = now.Add(shorten(min(b.Expires.Sub(now), most), min(r.cfg.MinExpires, most)))
	}
	for i := range r.leave {
		r.leave[i].Flow = sip.Flow{}
	}
	bindings, code := r.p.s.rebind(r.ext, r.leave, r.come, now)
	if code != 200 {
		r.tx.Respond(sip.Respond(r.req, code, "", r.p.s.random()))
		return
	}
	r.p.s.welcome(r.tx, r.req, r.cfg, bindings, now, extra...)
}

// refuse answers what the box refuses by itself.
func (r *passing) refuse(code int) {
	if !r.done.CompareAndSwap(false, true) {
		return
	}
	resp := sip.Respond(r.req, code, "", r.p.s.random())
	if code == 423 {
		resp.AppendHeader(minExpires(r.cfg))
	}
	r.tx.Respond(resp)
}

// forward carries the REGISTER to the cloud.
func (r *passing) forward(now time.Time) {
	p := r.p
	if p.isStruck(r.user, r.flow.Remote.Addr(), now) {
		p.s.watch.Refused("credentials that the cloud has refused too often", r.flow, r.req)
		r.refuse(403)
		return
	}
	flow, ok := p.flow(r.cfg)
	if !ok {
		r.unanswered(now)
		return
	}
	if p.passing.Add(1) > maxPassing {
		p.passing.Add(-1)
		p.s.unavailable(r.tx, r.req, retryFull)
		return
	}
	patience := strangerPatience
	if r.proven {
		patience = passPatience
	}
	late := time.AfterFunc(patience, func() { r.unanswered(time.Now()) })
	p.s.exchange.Do(r.request(flow), flow, func(ev exchange.ClientEvent) {
		if ev.Err == nil && ev.Response.StatusCode < 200 {
			return
		}
		late.Stop()
		p.passing.Add(-1)
		r.answered(flow, ev)
	})
}

// request is the REGISTER as the cloud gets it: the request line that the phone's
// digest covers, its credentials, and the box as contact.
func (r *passing) request(flow sip.Flow) *sip.Request {
	c := r.cfg
	aor := sip.URI{Scheme: "sip", User: userPart(r.user), Host: c.Trunk.Domain}
	contact := contactURI(userPart(r.user), flow)
	expires := c.Trunk.Expires
	for _, b := range r.come {
		expires = max(expires, time.Until(b.Expires).Round(time.Second))
	}
	if len(r.come) == 0 {
		expires = 0
	}
	d := sip.Draft{
		Method: sip.REGISTER, Target: cloudURI(c, r.req.Recipient), CallID: r.p.secret + "-" + userPart(r.user), Seq: r.p.seq.Add(1),
		From: &sip.From{Address: aor, Params: sip.Params{{K: "tag", V: r.p.s.random()}}}, To: &sip.To{Address: aor},
		Headers: append([]sip.Header{sip.ExpiresHeader(expires), sip.NewHeader("Allow", Allow)}, credentialsOf(c, r.req)...),
	}
	if len(r.come)+len(r.leave) > 0 {
		d.Contact = &contact
	}
	if agent := clip(sip.HeaderValue(r.req, "User-Agent"), 128); agent != "" {
		d.Headers = append(d.Headers, sip.NewHeader("User-Agent", agent))
	}
	// BroadWorks answers a REGISTER with Allow-Events with the subscriber's data.
	events := clip(sip.HeaderValue(r.req, "Allow-Events"), 256)
	if events == "" {
		events = "message-summary"
	}
	d.Headers = append(d.Headers, sip.NewHeader("Allow-Events", events))
	if mf := r.req.MaxForwards(); mf != nil && mf.Val() > 1 {
		d.Hops = min(mf.Val(), 70) - 1
	}
	return d.Request()
}

// answered takes what the cloud says.
func (r *passing) answered(flow sip.Flow, ev exchange.ClientEvent) {
	p, now := r.p, time.Now()
	if ev.Err != nil {
		p.moveOn(flow)
		r.unanswered(now)
		return
	}
	resp := ev.Response
	code := resp.StatusCode
	p.s.evidence.Answered(r.user, p.s.TargetAt(flow), code)
	addr := r.flow.Remote.Addr()
	switch {
	case code < 300:
		p.pardon(r.user, addr)
		r.granted(resp, ev.Flow, flow, now)
	case code == 401 || code == 407:
		if r.wrong(resp) && p.strike(r.user, addr, now) {
			r.expel(now)
		}
		r.relay(resp)
	case code == 403 || code == 404:
		p.s.watch.Refused("the cloud refuses the account", r.flow, r.req)
		p.s.guard.Punish(addr, "account")
		p.strike(r.user, addr, now)
		r.expel(now)
		r.relay(resp)
	case code == 408 || code >= 500 && code < 600:
		p.moveOn(flow)
		if r.proven {
			r.settle(now)
			return
		}
		r.relay(resp)
	default:
		r.relay(resp)
	}
}

// wrong says whether a challenge refuses credentials; one that calls a nonce old,
// or of a nonce that isn't known any more, does not.
func (r *passing) wrong(challenge *sip.Response) bool {
	if len(credentialsOf(r.cfg, r.req)) == 0 {
		return false
	}
	if cs := sip.Challenges(challenge); len(cs) > 0 && cs[0].Stale {
		return false
	}
	r.p.s.watch.Refused("wrong credentials for the cloud", r.flow, r.req)
	r.p.s.guard.Punish(r.flow.Remote.Addr(), "credentials")
	return true
}

// expel forgets a device that the cloud knows no longer, with its contacts.
func (r *passing) expel(now time.Time) {
	addr := r.flow.Remote.Addr()
	r.p.ledger.refuse(r.user, addr, r.instance)
	var gone []location.Binding
	for _, b := range r.p.s.location.Lookup(now, r.ext) {
		if b.Flow.Remote.Addr() == addr || r.instance != "" && b.Instance == r.instance {
			gone = append(gone, r.numbered(b))
		}
	}
	_, _ = r.p.s.rebind(r.ext, gone, nil, now) // what came later stays, as it must
}

// unanswered serves a phone whose cloud can't be had as far as it is known.
func (r *passing) unanswered(now time.Time) {
	if r.proven {
		r.settle(now)
		return
	}
	if r.done.CompareAndSwap(false, true) {
		r.p.s.unavailable(r.tx, r.req, passRetry)
	}
}

// granted takes a 2xx: the device has proved itself.
func (r *passing) granted(resp *sip.Response, came, flow sip.Flow, now time.Time) {
	p := r.p
	var extra []sip.Header
	for _, name := range []string{"P-Associated-URI", "Authentication-Info"} {
		for _, v := range sip.HeaderValues(resp, name) {
			extra = append(extra, sip.NewHeader(name, v))
		}
	}
	if len(r.come) == 0 {
		if len(r.leave) > 0 {
			p.ledger.left(r.user)
			p.mu.Lock()
			delete(p.ways, r.user)
			p.mu.Unlock()
		}
		r.settle(now, extra...)
		return
	}
	expires, _ := ownBinding(resp, contactURI(userPart(r.user), flow), r.cfg.Trunk.Expires)
	if expires <= 0 {
		p.s.log.Warn("the cloud accepted a registration and did not keep it", "account", r.user)
		p.s.unavailable(r.tx, r.req, passRetry)
		return
	}
	expires = min(expires, 24*time.Hour)
	a := Passage{User: r.user, Extension: r.ext, Granted: expires, Expires: now.Add(expires)}
	if f := r.req.From(); f != nil {
		a.Display = clip(f.DisplayName, 64)
	}
	learn(&a, resp)
	routes := serviceRoute(resp)
	for i := range routes {
		a.Routes = append(a.Routes, sip.URIText(&routes[i]))
	}
	p.ledger.prove(a, Device{Addr: r.flow.Remote.Addr(), Instance: r.instance, Agent: clip(sip.HeaderValue(r.req, "User-Agent"), 64), Proved: now})
	p.mu.Lock()
	if len(p.ways) < maxAccounts || p.ways[r.user] != nil {
		p.ways[r.user] = &path{flow: ours(came, flow), routes: routes}
	}
	p.mu.Unlock()
	r.account = a
	r.settle(now, extra...)
}

// relay hands the cloud's refusal to the phone, challenges as they are.
func (r *passing) relay(resp *sip.Response) {
	if !r.done.CompareAndSwap(false, true) {
		return
	}
	code, phrase := resp.StatusCode, resp.Reason
	if code < 400 { // a redirection would lead the phone past the box
		code, phrase = 503, ""
	}
	out := sip.Respond(r.req, code, phrase, r.p.s.random())
	for _, name := range []string{"WWW-Authenticate", "Proxy-Authenticate", "Min-Expires", "Retry-After", "Warning", "Reason"} {
		for _, v := range sip.HeaderValues(resp, name) {
			out.AppendHeader(sip.NewHeader(name, v))
		}
	}
	r.tx.Respond(out)
}

// isStruck says whether the cloud is to be left alone with somebody's attempts.
func (p *passages) isStruck(user string, addr netip.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, ok := p.bad[struck{user, addr}]
	if !ok && len(p.bad) >= maxStruck {
		p.sweepLocked(now)
		return len(p.bad) >= maxStruck // a flood of names: nobody new is tried
	}
	return s.count >= maxStrikes && now.Sub(s.last) < strikeRest
}

// strike counts a refusal and says whether it is one too many.
func (p *passages) strike(user string, addr netip.Addr, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	k := struck{user, addr}
	s := p.bad[k]
	if now.Sub(s.last) >= strikeRest {
		s.count = 0
	}
	s.count++
	s.last = now
	if len(p.bad) < maxStruck || s.count > 1 {
		p.bad[k] = s
	}
	return s.count >= maxStrikes
}

func (p *passages) pardon(user string, addr netip.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.bad, struck{user, addr})
}

func (p *passages) sweepLocked(now time.Time) {
	for k, s := range p.bad {
		if now.Sub(s.last) >= strikeRest {
			delete(p.bad, k)
		}
	}
}

// learn takes what the cloud tells about an account: its other identities
// (RFC 7315 4.1) and the subscriber data of BroadWorks.
func learn(a *Passage, resp *sip.Response) {
	for _, u := range sip.Identities(resp, "P-Associated-URI") {
		a.Numbers = add(a.Numbers, dialled(&u))
	}
	if strings.Contains(string(resp.Body()[:min(len(resp.Body()), 1024)]), "subscriberData") {
		numbers, extensions := subscriber(resp.Body())
		for _, n := range numbers {
			a.Numbers = add(a.Numbers, n)
		}
		a.Extensions = extensions
	}
}
