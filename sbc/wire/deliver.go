package wire

import (
	"errors"
	"strconv"

	"linekeeper/sbc/sip"
)

// deliver validates a message and hands it up. late says that it has waited for long.
func (w *Wire) deliver(m sip.Message, flow sip.Flow, late bool) {
	switch m := m.(type) {
	case *sip.Request:
		if w.guard.scanner(m, flow.Remote.Addr()) {
			return
		}
		if reject := sip.Validate(m); reject != nil {
			w.refuse(m, flow, reject)
			return
		}
		sip.Stamp(m, flow.Remote)
		if late && w.late(m, flow) {
			w.stats.late.Add(1)
			return
		}
	case *sip.Response:
		if err := sip.ValidateResponse(m); err != nil {
			w.malformed(nil, flow, err)
			return
		}
	}
	w.stats.received.Add(1)
	w.handler.Receive(m, flow)
}

// malformed counts bad input, and answers it where enough was understood.
func (w *Wire) malformed(m sip.Message, flow sip.Flow, err error) {
	var reject *sip.Reject
	if req, ok := m.(*sip.Request); ok && req != nil {
		if !errors.As(err, &reject) {
			reject = &sip.Reject{Code: 400, Phrase: "Bad Request", Cause: err}
		}
		w.refuse(req, flow, reject)
		return
	}
	w.stats.malformed.Add(1)
	w.guard.garbage(flow.Remote.Addr())
	w.bad.add(err, flow.Remote.String())
}

// refuse answers a request without keeping state (RFC 3261 8.2.7). What lacks
// the fields that an answer needs gets silence.
func (w *Wire) refuse(req *sip.Request, flow sip.Flow, reject *sip.Reject) {
	w.stats.malformed.Add(1)
	w.guard.garbage(flow.Remote.Addr())
	w.bad.add(reject, flow.Remote.String())
	if req.Via() == nil || w.closedTo(flow) {
		return
	}
	sip.Stamp(req, flow.Remote)
	resp := reject.Response(req, "lk"+strconv.FormatUint(w.stats.malformed.Load(), 36))
	if resp == nil {
		return // silence
	}
	if err := w.Send(flow, resp); err != nil {
		w.bad.add(err, flow.Remote.String())
		return
	}
	w.stats.answered.Add(1)
}

// closedTo says whether a peer is to hear nothing from the zone it came in by.
func (w *Wire) closedTo(flow sip.Flow) bool {
	z, err := w.zone(flow.Zone)
	return err != nil || z.config().Closed && !w.guard.known(flow.Remote.Addr())
}
