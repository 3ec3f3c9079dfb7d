package media

import (
	"net/netip"
	"strings"

	"github.com/pion/stun/v3"

	"linekeeper/sbc/sdp"
)

// maxBinding bounds a STUN message that is looked at.
const maxBinding = 548

// binding is a STUN binding message as ICE needs it (RFC 8445 7, 16).
type binding struct {
	request, success bool
	id               [12]byte
	code             int
	user             string
	priority         uint32
	nominate         bool
	controlling      bool
	role             bool // it says which role it has
	tie              uint64
}

// readBinding parses a message; the integrity is not yet checked.
func readBinding(b []byte) (*stun.Message, *binding, bool) {
	if len(b) > maxBinding || !stun.IsMessage(b) {
		return nil, nil, false
	}
	m := &stun.Message{Raw: append([]byte(nil), b...)}
	if m.Decode() != nil || m.Type.Method != stun.MethodBinding || stun.Fingerprint.Check(m) != nil {
		return nil, nil, false
	}
	k := &binding{request: m.Type.Class == stun.ClassRequest, success: m.Type.Class == stun.ClassSuccessResponse, id: m.TransactionID}
	if !k.request && !k.success && m.Type.Class != stun.ClassErrorResponse {
		return nil, nil, false // an indication keeps a NAT open; nothing to do
	}
	var user stun.Username
	if user.GetFrom(m) == nil {
		k.user = string(user)
	}
	var code stun.ErrorCodeAttribute
	if code.GetFrom(m) == nil {
		k.code = int(code.Code)
	}
	if v, err := m.Get(stun.AttrPriority); err == nil && len(v) == 4 {
		k.priority = uint32(v[0])<<24 | uint32(v[1])<<16 | uint32(v[2])<<8 | uint32(v[3])
	}
	k.nominate = m.Contains(stun.AttrUseCandidate)
	for _, role := range [...]struct {
		attr        stun.AttrType
		controlling bool
	}{{stun.AttrICEControlling, true}, {stun.AttrICEControlled, false}} {
		if v, err := m.Get(role.attr); err == nil && len(v) == 8 {
			k.role, k.controlling = true, role.controlling
			for _, x := range v {
				k.tie = k.tie<<8 | uint64(x)
			}
		}
	}
	return m, k, true
}

// authentic checks the integrity under a password.
func authentic(m *stun.Message, pwd sdp.Secret) bool {
	return stun.MessageIntegrity(pwd).Check(m) == nil
}

// forUs says whether a request names our user fragment first (RFC 8445 7.3).
func (k *binding) forUs(ufrag string) bool {
	own, _, ok := strings.Cut(k.user, ":")
	return ok && own == ufrag
}

// attribute is a setter of raw bytes.
type attribute struct {
	kind  stun.AttrType
	value []byte
}

func (a attribute) AddTo(m *stun.Message) error {
	m.Add(a.kind, a.value)
	return nil
}

func bytes32(v uint32) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

func bytes64(v uint64) []byte { return append(bytes32(uint32(v>>32)), bytes32(uint32(v))...) }

// check makes a request of ours.
func (c *checker) check(id [12]byte, nominate bool) []byte {
	role := stun.AttrICEControlled
	if c.controlling {
		role = stun.AttrICEControlling
	}
	setters := []stun.Setter{
		stun.NewTransactionIDSetter(id), stun.BindingRequest,
		stun.NewUsername(c.flow.Remote.Ufrag + ":" + c.flow.Local.Ufrag),
		attribute{stun.AttrPriority, bytes32(sdp.Priority(sdp.PreferPeer, c.component))},
		attribute{role, bytes64(c.tie)},
	}
	if nominate {
		setters = append(setters, attribute{stun.AttrUseCandidate, nil})
	}
	return built(append(setters, stun.MessageIntegrity(c.flow.Remote.Pwd), stun.Fingerprint)...)
}

// answer makes the answer to a request.
func (c *checker) answer(id [12]byte, from netip.AddrPort, code stun.ErrorCode) []byte {
	setters := []stun.Setter{stun.NewTransactionIDSetter(id)}
	if code != 0 {
		setters = append(setters, stun.BindingError, code)
	} else {
		setters = append(setters, stun.BindingSuccess, &stun.XORMappedAddress{IP: from.Addr().AsSlice(), Port: int(from.Port())})
	}
	return built(append(setters, stun.MessageIntegrity(c.flow.Local.Pwd), stun.Fingerprint)...)
}

// built is a message of setters; nil where they can't be written, which is only so
// for a user name beyond 513 bytes.
func built(setters ...stun.Setter) []byte {
	m, err := stun.Build(setters...)
	if err != nil {
		return nil
	}
	return m.Raw
}
