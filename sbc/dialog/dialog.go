package dialog

import (
	"errors"
	"fmt"
	"strings"

	"linekeeper/sbc/sip"
)

// maxRoutes bounds the route set that a peer can make us carry.
const maxRoutes = 16

// ErrOrder is returned for a request whose CSeq is lower than one already
// answered (RFC 3261 12.2.2: 500).
var ErrOrder = errors.New("cseq is lower than that of an earlier request")

// Address is a name and a URI as From and To carry them.
type Address struct {
	Display string
	URI     sip.URI
}

// Dialog is one side's view of a SIP dialog. The zero value is not usable; make
// one with Answering or Calling.
type Dialog struct {
	// CallID, LocalTag and RemoteTag name the dialog (RFC 3261 12).
	CallID, LocalTag, RemoteTag string
	// Local and Remote are the two ends as From and To name them.
	Local, Remote Address
	// Target is where the peer wants in-dialog requests: its Contact.
	Target sip.URI
	// Contact is ours.
	Contact sip.URI
	// Routes is the route set in the order of Route headers.
	Routes []sip.URI

	localSeq, remoteSeq uint32
	remoteKnown         bool
}

// Answering makes the dialog of a user agent server from the INVITE or
// SUBSCRIBE that it received (RFC 3261 12.1.1).
func Answering(req *sip.Request, localTag string, contact sip.URI) (*Dialog, error) {
	from, to, cid, cseq := req.From(), req.To(), req.CallID(), req.CSeq()
	if from == nil || to == nil || cid == nil || cseq == nil {
		return nil, errors.New("request lacks From, To, Call-ID or CSeq")
	}
	d := &Dialog{
		CallID: strings.Clone(cid.Value()), LocalTag: localTag, RemoteTag: strings.Clone(sip.FromTag(req)),
		Local:   Address{strings.Clone(to.DisplayName), sip.KeepURI(&to.Address)},
		Remote:  Address{strings.Clone(from.DisplayName), sip.KeepURI(&from.Address)},
		Contact: sip.KeepURI(&contact), remoteSeq: cseq.SeqNo, remoteKnown: true,
		Target: sip.KeepURI(&from.Address),
	}
	if c := req.Contact(); c != nil && c.Address.Host != "" {
		d.Target = sip.KeepURI(&c.Address)
	}
	routes, err := recordRoutes(req)
	if err != nil {
		return nil, err
	}
	d.Routes = routes
	return d, nil
}

// Calling makes the dialog of a user agent client before anything was answered.
// target is the request URI; routes a preloaded route set, nil if none.
func Calling(callID, localTag string, local, remote Address, target, contact sip.URI, routes []sip.URI) *Dialog {
	return &Dialog{CallID: callID, LocalTag: localTag, Local: local, Remote: remote, Target: target, Contact: contact, Routes: routes}
}

func recordRoutes(m sip.Message) ([]sip.URI, error) {
	out := sip.RecordRoutes(m)
	if len(out) > maxRoutes {
		return nil, fmt.Errorf("more than %d record-routes", maxRoutes)
	}
	for i := range out {
		out[i] = sip.KeepURI(&out[i])
	}
	return out, nil
}

// Learn takes tag, target and route set from a response to the request that
// makes the dialog (RFC 3261 12.1.2). A final 2xx overrides what an early
// response said.
func (d *Dialog) Learn(resp *sip.Response) error {
	routes, err := recordRoutes(resp)
	if err != nil {
		return err
	}
	if tag := sip.ToTag(resp); tag != "" {
		d.RemoteTag = strings.Clone(tag)
	}
	if resp.To() != nil {
		d.Remote.Display = strings.Clone(resp.To().DisplayName)
	}
	for i, j := 0, len(routes)-1; i < j; i, j = i+1, j-1 {
		routes[i], routes[j] = routes[j], routes[i]
	}
	if len(routes) > 0 || resp.IsSuccess() {
		d.Routes = routes
	}
	d.Refresh(resp)
	return nil
}

// Refresh takes the remote target from a target refresh request or a 2xx to one
// (RFC 3261 12.2.1.2 and 12.2.2).
func (d *Dialog) Refresh(m sip.Message) {
	var c *sip.Contact
	switch m := m.(type) {
	case *sip.Request:
		c = m.Contact()
	case *sip.Response:
		c = m.Contact()
	}
	if c != nil && c.Address.Host != "" && !c.Address.Wildcard {
		d.Target = sip.KeepURI(&c.Address)
	}
}

// Receive checks the order of an in-dialog request (RFC 3261 12.2.2). ACK and
// CANCEL share their INVITE's number and are not checked here.
func (d *Dialog) Receive(req *sip.Request) error {
	if req.Method == sip.ACK || req.Method == sip.CANCEL {
		return nil
	}
	seq := req.CSeq().SeqNo
	if d.remoteKnown && seq < d.remoteSeq {
		return ErrOrder
	}
	d.remoteSeq, d.remoteKnown = seq, true
	return nil
}

// Draft begins the next request of the dialog: request line, From, To, Call-ID,
// CSeq, Contact and Route are set, with loose and strict routing as in RFC 3261
// 12.2.1.1. Headers and body are the caller's, Via is the transaction's.
func (d *Dialog) Draft(method sip.Method) sip.Draft {
	d.localSeq++
	return d.draft(method, d.localSeq)
}

// Ack begins the ACK for a 2xx to the request numbered seq (RFC 3261 13.2.2.4).
func (d *Dialog) Ack(seq uint32) sip.Draft { return d.draft(sip.ACK, seq) }

// RequestURI is what the request line of the next request will say; a digest
// answer covers it.
func (d *Dialog) RequestURI() string {
	target, _ := d.way()
	return sip.URIText(&target)
}

// way is the request URI and the Route headers, a strict router first in line.
func (d *Dialog) way() (sip.URI, []sip.URI) {
	if len(d.Routes) == 0 || d.Routes[0].UriParams.Has("lr") {
		return d.Target, d.Routes
	}
	strict := make([]sip.URI, 0, len(d.Routes))
	return d.Routes[0], append(append(strict, d.Routes[1:]...), d.Target)
}

func (d *Dialog) draft(method sip.Method, seq uint32) sip.Draft {
	target, routes := d.way()
	from := &sip.From{DisplayName: d.Local.Display, Address: d.Local.URI}
	from.Params.Add("tag", d.LocalTag)
	to := &sip.To{DisplayName: d.Remote.Display, Address: d.Remote.URI}
	if d.RemoteTag != "" {
		to.Params.Add("tag", d.RemoteTag)
	}
	draft := sip.Draft{Method: method, Target: target, From: from, To: to, CallID: d.CallID, Seq: seq, Routes: routes}
	if method != sip.BYE && method != sip.ACK {
		draft.Contact = &d.Contact
	}
	return draft
}

// Fork copies the dialog as it was before any answer, for a second answerer of
// the same request.
func (d *Dialog) Fork() *Dialog {
	c := *d
	c.RemoteTag = ""
	return &c
}

// Saved is a dialog as it is kept on disk.
type Saved struct {
	CallID    string   `json:"call_id"`
	LocalTag  string   `json:"local_tag"`
	RemoteTag string   `json:"remote_tag"`
	Local     string   `json:"local"`
	Remote    string   `json:"remote"`
	Target    string   `json:"target"`
	Contact   string   `json:"contact"`
	Routes    []string `json:"routes,omitempty"`
	LocalSeq  uint32   `json:"local_seq"`
	RemoteSeq uint32   `json:"remote_seq"`
}

// Save writes the dialog down, without the display names.
func (d *Dialog) Save() Saved {
	s := Saved{CallID: d.CallID, LocalTag: d.LocalTag, RemoteTag: d.RemoteTag, Local: sip.URIText(&d.Local.URI), Remote: sip.URIText(&d.Remote.URI),
		Target: sip.URIText(&d.Target), Contact: sip.URIText(&d.Contact), LocalSeq: d.localSeq, RemoteSeq: d.remoteSeq}
	for i := range d.Routes {
		s.Routes = append(s.Routes, sip.URIText(&d.Routes[i]))
	}
	return s
}

// Restore makes the dialog again. Error: a URI can't be read.
func Restore(s Saved) (*Dialog, error) {
	d := &Dialog{CallID: s.CallID, LocalTag: s.LocalTag, RemoteTag: s.RemoteTag, localSeq: s.LocalSeq, remoteSeq: s.RemoteSeq, remoteKnown: true}
	d.Routes = make([]sip.URI, len(s.Routes))
	into := map[*sip.URI]string{&d.Local.URI: s.Local, &d.Remote.URI: s.Remote, &d.Target: s.Target, &d.Contact: s.Contact}
	for i, r := range s.Routes {
		into[&d.Routes[i]] = r
	}
	for u, text := range into {
		parsed, err := sip.ParseURI(text)
		if err != nil {
			return nil, fmt.Errorf("dialog %s: %w", s.CallID, err)
		}
		*u = parsed
	}
	return d, nil
}
