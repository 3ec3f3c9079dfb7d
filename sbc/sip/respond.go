package sip

import (
	gosip "github.com/emiago/sipgo/sip"
)

// Respond builds a response to req (RFC 3261 8.2.6): all Vias, From, To,
// Call-ID and CSeq copied, Record-Route where the response makes a dialog, and
// toTag put on a To that has none (never on a 100). An empty phrase is filled.
func Respond(req *Request, code int, phrase, toTag string) *Response {
	if phrase == "" {
		phrase = Phrase(code)
	}
	resp := gosip.NewResponse(code, phrase)
	routes := code > 100 && code < 300 && (req.Method == INVITE || req.Method == SUBSCRIBE || req.Method == NOTIFY || req.Method == REFER)
	for _, h := range req.Headers() {
		switch h := h.(type) {
		case *Via:
			resp.AppendHeader(h.Clone())
		case *RecordRoute:
			if routes {
				resp.AppendHeader(h)
			}
		default:
			if name := h.Name(); (routes && name == "Record-Route") || (code == 100 && name == "Timestamp") {
				resp.AppendHeader(h)
			}
		}
	}
	if h := req.From(); h != nil {
		resp.AppendHeader(&From{DisplayName: h.DisplayName, Address: h.Address, Params: h.Params.Clone()})
	}
	if h := req.To(); h != nil {
		to := &To{DisplayName: h.DisplayName, Address: h.Address, Params: h.Params.Clone()}
		if code > 100 && toTag != "" && !to.Params.Has("tag") {
			to.Params.Add("tag", toTag)
		}
		resp.AppendHeader(to)
	}
	if h := req.CallID(); h != nil {
		resp.AppendHeader(h)
	}
	if h := req.CSeq(); h != nil {
		resp.AppendHeader(&CSeq{SeqNo: h.SeqNo, MethodName: h.MethodName})
	}
	return resp
}

// Draft is a request to be made; the Via is put on it when it is sent.
type Draft struct {
	Method      Method
	Target      URI
	From        *From // with its tag
	To          *To
	CallID      string
	Seq         uint32
	Contact     *URI   // nil: none
	Routes      []URI  // in order
	Hops        uint32 // Max-Forwards; 0 means 70
	Headers     []Header
	ContentType string
	Body        []byte
}

// Request builds the request.
func (d Draft) Request() *Request {
	req := gosip.NewRequest(d.Method, d.Target)
	req.Recipient.Headers = nil // RFC 3261 19.1.1: not in a Request-URI
	for _, u := range d.Routes {
		req.AppendHeader(&Route{Address: u})
	}
	hops := MaxForwards(d.Hops)
	if hops == 0 {
		hops = 70
	}
	req.AppendHeader(&hops)
	req.AppendHeader(&From{DisplayName: d.From.DisplayName, Address: d.From.Address, Params: d.From.Params.Clone()})
	req.AppendHeader(&To{DisplayName: d.To.DisplayName, Address: d.To.Address, Params: d.To.Params.Clone()})
	id := CallID(d.CallID)
	req.AppendHeader(&id)
	req.AppendHeader(&CSeq{SeqNo: d.Seq, MethodName: d.Method})
	if d.Contact != nil {
		req.AppendHeader(&Contact{Address: *d.Contact})
	}
	for _, h := range d.Headers {
		req.AppendHeader(h)
	}
	setBody(req, d.ContentType, d.Body)
	return req
}

// SetBody gives m a body and its type; an empty body takes both away.
func SetBody(m Message, contentType string, body []byte) {
	RemoveHeader(m, "Content-Type")
	setBody(m, contentType, body)
}

func setBody(m Message, contentType string, body []byte) {
	if len(body) == 0 {
		m.SetBody(nil)
		return
	}
	ct := ContentType(contentType)
	m.AppendHeader(&ct)
	m.SetBody(body)
}

// NewRequest makes a request without any header field.
func NewRequest(method Method, target URI) *Request { return gosip.NewRequest(method, target) }

// NewResponse makes a response without any header field; see Respond.
func NewResponse(code int, phrase string) *Response { return gosip.NewResponse(code, phrase) }
