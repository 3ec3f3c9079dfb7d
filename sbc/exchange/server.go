package exchange

import (
	"hash/maphash"
	"strconv"
	"time"

	"linekeeper/sbc/sip"
	"linekeeper/sbc/txn"
)

// Server is a request of a peer that wants an answer.
type Server struct {
	tx
	key    string
	ackKey string
	flow   sip.Flow
	method sip.Method

	req   *sip.Request  // until something has been said
	last  *sip.Response // provisional said last
	final []byte        // the final response, for repetitions
	tag   string        // our To tag, once said

	cancel    *sip.Request // came before anyone asked
	cancelled bool
	onCancel  func(*sip.Request)
	onAcked   func(*sip.Request)
	onUnacked func()
}

// Respond sends a response. The first final one settles the transaction; a
// later one does nothing, save that an INVITE's 2xx may be given again.
func (s *Server) Respond(resp *sip.Response) {
	s.step(txn.Input{What: txn.Replied, Code: resp.StatusCode}, act{msg: resp})
}

// OnCancel sets what to call when the peer cancels a pending INVITE. The CANCEL
// itself is answered already; the owner answers the INVITE, with 487. It is
// called at most once, and at once when the CANCEL has come before.
func (s *Server) OnCancel(f func(cancel *sip.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.final != nil {
		return
	}
	s.onCancel = f
	if s.cancel != nil {
		s.tellCancelLocked(s.cancel)
	}
}

// OnAcked sets what to call when our 2xx to an INVITE is acknowledged. To be
// set before Respond.
func (s *Server) OnAcked(f func(ack *sip.Request)) {
	s.mu.Lock()
	s.onAcked = f
	s.mu.Unlock()
}

// OnUnacked sets what to call when our 2xx was not acknowledged in 64*T1: the
// owner ends the call with BYE (RFC 3261 13.3.1.4). To be set before Respond.
func (s *Server) OnUnacked(f func()) {
	s.mu.Lock()
	s.onUnacked = f
	s.mu.Unlock()
}

// Flow is where the request came from and its answers go.
func (s *Server) Flow() sip.Flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.flow
}

// request sorts a request out (RFC 3261 17.2.3).
func (x *Exchange) request(req *sip.Request, flow sip.Flow) {
	switch req.Method {
	case sip.ACK:
		x.acked(req, flow)
		return
	case sip.CANCEL:
		x.cancelled(req, flow)
		return
	}
	if s := x.open(req, flow); s != nil {
		x.handler.Request(s, req, flow)
	}
}

// open makes the transaction of a new request, or returns nil after having done
// what is due to a repeated or unwelcome one.
func (x *Exchange) open(req *sip.Request, flow sip.Flow) *Server {
	var room [256]byte
	key := appendServerKey(room[:0], req, req.Method, flow.Zone)
	if s, ok := x.servers.get(key); ok {
		x.repeated(s, flow)
		return nil
	}
	if x.full(sip.ToTag(req) != "" || req.Method == sip.CANCEL) {
		x.counts.refused.Add(1)
		busy := sip.Reject{Code: 503, After: busyAfter}
		_ = x.put(flow, busy.Response(req, x.Token())) // counted; stateless, nobody to tell
		return nil
	}
	s := &Server{key: string(key), flow: flow, method: req.Method, req: req}
	s.x, s.self = x, s
	if req.Method == sip.INVITE {
		s.machine = txn.NewServerInvite(&x.timers, flow.Transport.Reliable())
	} else {
		s.machine = txn.NewServerNonInvite(&x.timers, flow.Transport.Reliable())
	}
	x.counts.servers.Add(1)
	if have, added := x.servers.add(s.key, s); !added {
		x.counts.servers.Add(-1)
		x.repeated(have, flow)
		return nil
	}
	s.step(txn.Input{What: txn.Begun}, act{})
	return s
}

// TurnAway answers a request that begins something with 503 and Retry-After, and keeps
// nothing of it, not even a transaction: one that is repeated is answered alike, and
// the ACK finds nobody (RFC 3261 8.2.7). It is false for a request whose transaction
// there is already, which must not hear two answers.
func (x *Exchange) TurnAway(req *sip.Request, flow sip.Flow, after time.Duration) bool {
	var room [256]byte
	key := appendServerKey(room[:0], req, req.Method, flow.Zone)
	if _, ok := x.servers.get(key); ok {
		return false
	}
	x.counts.refused.Add(1)
	busy := sip.Reject{Code: 503, After: after}
	_ = x.put(flow, busy.Response(req, "t"+strconv.FormatUint(maphash.Bytes(x.seed, key), 36))) // counted; nobody to tell
	return true
}

func (x *Exchange) repeated(s *Server, flow sip.Flow) {
	x.counts.repeatsIn.Add(1)
	s.step(txn.Input{What: txn.Repeated}, act{flow: flow})
}

// appendServerKey makes the key of RFC 3261 17.2.3 from the top Via, the method
// (INVITE for its ACK) and the zone.
func appendServerKey(b []byte, req *sip.Request, method sip.Method, zone string) []byte {
	v := req.Via()
	b = append(b, sip.Branch(req)...)
	b = append(b, 0)
	b = append(b, v.Host...)
	b = append(b, ':')
	b = strconv.AppendInt(b, int64(v.Port), 10)
	b = append(b, 0)
	b = append(b, method...)
	b = append(b, 0)
	b = append(b, zone...)
	if sip.Identified(req) {
		return b
	}
	// The branch of an element older than RFC 3261, if there is one, may come
	// again. To is left out: an ACK has the tag that the INVITE had not.
	seq, _ := sip.Seq(req)
	b = append(b, 0)
	b = sip.AppendURI(b, &req.Recipient)
	b = append(b, 0)
	b = append(b, sip.FromTag(req)...)
	b = append(b, 0)
	b = append(b, sip.CallIDOf(req)...)
	b = append(b, 0)
	return strconv.AppendUint(b, uint64(seq), 10)
}

// appendAckKey is what a 2xx and its ACK have in common: the ACK has a branch
// of its own.
func appendAckKey(b []byte, m sip.Message, zone string) []byte {
	seq, _ := sip.Seq(m)
	b = append(b, sip.CallIDOf(m)...)
	b = append(b, 0)
	b = append(b, sip.FromTag(m)...)
	b = append(b, 0)
	b = append(b, sip.ToTag(m)...)
	b = append(b, 0)
	b = strconv.AppendUint(b, uint64(seq), 10)
	b = append(b, 0)
	return append(b, zone...)
}

// acked takes an ACK: of a refused INVITE it ends here, of a 2xx it goes on to
// the owner.
func (x *Exchange) acked(req *sip.Request, flow sip.Flow) {
	var room [384]byte
	if s, ok := x.servers.get(appendServerKey(room[:0], req, sip.INVITE, flow.Zone)); ok {
		s.mu.Lock()
		refused := s.machine.State() != txn.Accepted
		s.mu.Unlock()
		if refused {
			s.step(txn.Input{What: txn.Confirm}, act{msg: req})
			return
		}
	}
	if s, ok := x.unacked.get(appendAckKey(room[:0], req, flow.Zone)); ok {
		s.step(txn.Input{What: txn.Confirm}, act{msg: req})
	}
	x.handler.Ack(req, flow)
}

// cancelled answers a CANCEL (RFC 3261 9.2) and tells the INVITE's owner.
func (x *Exchange) cancelled(req *sip.Request, flow sip.Flow) {
	s := x.open(req, flow)
	if s == nil {
		return
	}
	var room [256]byte
	invite, ok := x.servers.get(appendServerKey(room[:0], req, sip.INVITE, flow.Zone))
	if !ok {
		s.Respond(sip.Respond(req, 481, "", x.Token()))
		return
	}
	invite.mu.Lock()
	if invite.tag == "" {
		invite.tag = x.Token()
	}
	tag := invite.tag
	invite.mu.Unlock()
	s.Respond(sip.Respond(req, 200, "", tag))

	invite.mu.Lock()
	defer invite.mu.Unlock()
	if invite.machine.State() != txn.Proceeding || invite.cancelled {
		return
	}
	invite.cancelled = true
	x.counts.cancels.Add(1)
	invite.tellCancelLocked(req)
}

// tellCancelLocked hands the CANCEL to the owner, or keeps it until one asks.
func (s *Server) tellCancelLocked(cancel *sip.Request) {
	f := s.onCancel
	if f == nil {
		s.cancel = cancel
		return
	}
	s.cancel, s.onCancel = nil, nil
	s.queue = append(s.queue, act{call: func() { f(cancel) }})
	s.drainLocked()
}

// ended runs under the mutex when the machine has ended.
func (s *Server) ended() {
	s.x.servers.remove(s.key)
	if s.ackKey != "" {
		s.x.unacked.remove(s.ackKey)
		s.ackKey = ""
	}
	s.x.counts.servers.Add(-1)
}

// perform follows one order; the drain makes it the only one at it.
func (s *Server) perform(a act) {
	switch a.do {
	case txn.Send:
		s.say(a)
	case txn.Say100:
		s.mu.Lock()
		req := s.req
		s.mu.Unlock()
		if req != nil {
			s.say(act{msg: sip.Respond(req, 100, "", "")})
		}
	case txn.Again:
		s.repeat(a.flow)
	case txn.Acked:
		s.x.counts.acked.Add(1)
		if f := s.settle(); f != nil {
			f(a.msg.(*sip.Request))
		}
	case txn.Unacked:
		s.x.counts.unacked.Add(1)
		s.mu.Lock()
		f := s.onUnacked
		s.mu.Unlock()
		if f != nil {
			f()
		}
		s.settle()
	default: // nothing to do
	}
}

// settle lets the owner's things go once the 2xx needs no more care.
func (s *Server) settle() (acked func(*sip.Request)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	acked = s.onAcked
	s.onAcked, s.onUnacked = nil, nil
	s.final = []byte{} // RFC 6026: repeated INVITEs are absorbed now
	if s.ackKey != "" {
		s.x.unacked.remove(s.ackKey)
		s.ackKey = ""
	}
	return acked
}

// say sends a response of the owner's and keeps what repetitions need.
func (s *Server) say(a act) {
	resp := a.msg.(*sip.Response)
	s.mu.Lock()
	if tag := sip.ToTag(resp); tag != "" {
		s.tag = tag
	}
	flow := s.flow
	s.req = nil
	if resp.IsProvisional() {
		s.last = resp
	} else {
		s.last, s.cancel, s.onCancel = nil, nil, nil
		if s.method != sip.INVITE || !resp.IsSuccess() { // no ACK to tell of: let the owner go
			s.onAcked, s.onUnacked = nil, nil
		}
		s.final = []byte{}
		if !a.over {
			s.final = sip.Bytes(resp)
		}
		if s.method == sip.INVITE && resp.IsSuccess() && s.ackKey == "" && s.machine.State() == txn.Accepted {
			s.ackKey = string(appendAckKey(nil, resp, flow.Zone))
			s.x.unacked.add(s.ackKey, s) // before it is out: the ACK may be quick
		}
	}
	s.mu.Unlock()
	if err := s.x.put(flow, resp); err != nil {
		s.x.log.Debug("response not sent", "code", resp.StatusCode, "remote", flow.Remote, "err", err)
	}
}

// repeat sends the last response again, to where the request came from again.
func (s *Server) repeat(flow sip.Flow) {
	s.mu.Lock()
	if flow.Remote.IsValid() {
		s.flow = flow
	}
	flow = s.flow
	last, final := s.last, s.final
	s.mu.Unlock()
	switch {
	case len(final) > 0:
		s.x.again(flow, final)
	case last != nil:
		s.x.counts.repeatsOut.Add(1)
		_ = s.x.put(flow, last) // counted; a request that comes again asks again
	}
}
