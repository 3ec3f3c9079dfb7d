package wire

import (
	"net/netip"

	"github.com/pion/stun/v3"

	"linekeeper/sbc/sip"
)

// stunMost bounds a binding request; a keep-alive has no more than a few attributes.
const stunMost = 548

// keptAlive answers a STUN binding request on a SIP socket with where it came from
// (RFC 5626 4.4.2, RFC 8489). It says whether the datagram was STUN at all; what
// isn't a plain binding request gets nothing.
func (s *datagrams) keptAlive(flow sip.Flow, raw []byte) bool {
	if len(raw) < 20 || raw[0]&0xc0 != 0 || !stun.IsMessage(raw) {
		return false
	}
	if reply := bindingAnswer(raw, flow.Remote); reply != nil {
		_ = s.write(reply, flow.Local.Addr(), flow.Remote) // it asks again if this one is lost
	}
	return true
}

// bindingAnswer is the answer to a binding request from an address; nil: none.
func bindingAnswer(raw []byte, from netip.AddrPort) []byte {
	if len(raw) > stunMost {
		return nil
	}
	m := &stun.Message{Raw: append([]byte(nil), raw...)}
	if err := m.Decode(); err != nil || m.Type != stun.BindingRequest {
		return nil
	}
	marked := m.Contains(stun.AttrFingerprint)
	if marked && stun.Fingerprint.Check(m) != nil {
		return nil
	}
	setters := []stun.Setter{stun.NewTransactionIDSetter(m.TransactionID), stun.BindingSuccess,
		&stun.XORMappedAddress{IP: from.Addr().Unmap().AsSlice(), Port: int(from.Port())}}
	if unknown := mustKnow(m); len(unknown) > 0 {
		setters = []stun.Setter{stun.NewTransactionIDSetter(m.TransactionID), stun.BindingError, stun.CodeUnknownAttribute, unknown}
	}
	if marked {
		setters = append(setters, stun.Fingerprint)
	}
	reply, err := stun.Build(setters...)
	if err != nil {
		return nil
	}
	return reply.Raw
}

// mustKnow are the attributes that a server has to understand and this one does
// not (RFC 8489 6.3.1).
func mustKnow(m *stun.Message) stun.UnknownAttributes {
	var out stun.UnknownAttributes
	for _, a := range m.Attributes {
		switch {
		case a.Type >= 0x8000, len(out) == 8: // those may be passed over
		case a.Type == stun.AttrUsername, a.Type == stun.AttrMessageIntegrity: // nobody is asked who he is
		default:
			out = append(out, a.Type)
		}
	}
	return out
}
