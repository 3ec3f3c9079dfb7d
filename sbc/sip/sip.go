package sip

import (
	"net/netip"

	gosip "github.com/emiago/sipgo/sip"
)

// The message grammar is sipgo's. No other package of the product imports it;
// what the house needs of it is named here.
type (
	// Request is a SIP request (RFC 3261 7.1).
	Request = gosip.Request
	// Response is a SIP response (RFC 3261 7.2).
	Response = gosip.Response
	// Message is a Request or a Response.
	Message = gosip.Message
	// Method is a request method, "INVITE" for instance.
	Method = gosip.RequestMethod
	// URI is a SIP, SIPS or other URI.
	URI = gosip.Uri
	// Header is one header field.
	Header = gosip.Header
	// Params are the parameters of a header field or a URI, in order.
	Params = gosip.HeaderParams
	// Param is one parameter; its value keeps the quotes it came with.
	Param = gosip.HeaderKV
	// Via is a Via header field (RFC 3261 20.42).
	Via = gosip.ViaHeader
	// From is the From header field.
	From = gosip.FromHeader
	// To is the To header field.
	To = gosip.ToHeader
	// Contact is a Contact header field.
	Contact = gosip.ContactHeader
	// CallID is the Call-ID header field.
	CallID = gosip.CallIDHeader
	// CSeq is the CSeq header field.
	CSeq = gosip.CSeqHeader
	// MaxForwards is the Max-Forwards header field.
	MaxForwards = gosip.MaxForwardsHeader
	// ContentType is the Content-Type header field.
	ContentType = gosip.ContentTypeHeader
	// Expires is the Expires header field, in seconds.
	Expires = gosip.ExpiresHeader
	// Route is a Route header field.
	Route = gosip.RouteHeader
	// RecordRoute is a Record-Route header field.
	RecordRoute = gosip.RecordRouteHeader
)

// The methods that the box knows.
const (
	INVITE    = gosip.INVITE
	ACK       = gosip.ACK
	CANCEL    = gosip.CANCEL
	BYE       = gosip.BYE
	REGISTER  = gosip.REGISTER
	OPTIONS   = gosip.OPTIONS
	SUBSCRIBE = gosip.SUBSCRIBE
	NOTIFY    = gosip.NOTIFY
	REFER     = gosip.REFER
	INFO      = gosip.INFO
	MESSAGE   = gosip.MESSAGE
	PRACK     = gosip.PRACK
	UPDATE    = gosip.UPDATE
	PUBLISH   = gosip.PUBLISH
)

// Transport is how a message travels: "udp", "tcp" or "tls".
type Transport string

// The transports that the box speaks.
const (
	UDP Transport = "udp"
	TCP Transport = "tcp"
	TLS Transport = "tls"
)

// Reliable says whether the transport itself repeats what is lost, so that
// transactions need not (RFC 3261 17.1.1.2).
func (t Transport) Reliable() bool { return t != UDP }

// Flow is one way between the box and a peer. Flows are comparable; an answer
// goes back on the flow its request came on (RFC 3581, RFC 5626).
type Flow struct {
	// Zone names the group of sockets: "lan", or the name of a trunk toward the cloud ("wan").
	Zone string
	// Transport of the flow.
	Transport Transport
	// Local is the box's own address: the one the message came to, or will leave from.
	Local netip.AddrPort
	// Remote is the peer's address as the socket saw it.
	Remote netip.AddrPort
	// Conn numbers a stream connection. 0 means none in particular: UDP, or
	// whichever connection to Remote exists or can be made.
	Conn uint64
}
