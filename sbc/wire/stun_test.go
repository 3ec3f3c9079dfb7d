package wire

import (
	"net/netip"
	"testing"

	"github.com/pion/stun/v3"
)

// ask makes a STUN message of setters.
func ask(t testing.TB, setters ...stun.Setter) []byte {
	t.Helper()
	m, err := stun.Build(setters...)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

func TestABindingRequestIsToldWhereItCameFrom(t *testing.T) {
	for _, from := range []string{"192.0.2.10:40001", "[2001:db8::1]:40001", "[::ffff:192.0.2.10]:40001"} {
		addr := netip.MustParseAddrPort(from)
		for name, request := range map[string][]byte{
			"plain":       ask(t, stun.TransactionID, stun.BindingRequest),
			"fingerprint": ask(t, stun.TransactionID, stun.BindingRequest, stun.NewSoftware("phone"), stun.Fingerprint),
			"username":    ask(t, stun.TransactionID, stun.BindingRequest, stun.NewUsername("a")),
		} {
			raw := bindingAnswer(request, addr)
			m := &stun.Message{Raw: raw}
			if err := m.Decode(); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			var asked stun.Message
			asked.Raw = request
			if err := asked.Decode(); err != nil {
				t.Fatal(err)
			}
			var got stun.XORMappedAddress
			if err := got.GetFrom(m); err != nil || m.Type != stun.BindingSuccess || m.TransactionID != asked.TransactionID {
				t.Fatalf("%s: %v %v", name, m, err)
			}
			if ip, _ := netip.AddrFromSlice(got.IP); ip.Unmap() != addr.Addr().Unmap() || got.Port != 40001 {
				t.Errorf("%s from %s: told %v", name, from, got)
			}
			if name == "fingerprint" && stun.Fingerprint.Check(m) != nil {
				t.Error("the answer to a request with a fingerprint has none")
			}
			if len(raw) > len(request)+32 {
				t.Errorf("%s: %d octets for %d", name, len(raw), len(request))
			}
		}
	}
}

func TestWhatIsNoBindingRequestGetsNoAnswer(t *testing.T) {
	from := netip.MustParseAddrPort("192.0.2.10:40001")
	spoilt := ask(t, stun.TransactionID, stun.BindingRequest, stun.Fingerprint)
	spoilt[len(spoilt)-1] ^= 1
	for name, raw := range map[string][]byte{
		"an answer":           ask(t, stun.TransactionID, stun.BindingSuccess),
		"an indication":       ask(t, stun.TransactionID, stun.NewType(stun.MethodBinding, stun.ClassIndication)),
		"allocate":            ask(t, stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest)),
		"a wrong fingerprint": spoilt,
		"a cut message":       ask(t, stun.TransactionID, stun.BindingRequest, stun.NewSoftware("phone"))[:22],
		"a giant":             append(ask(t, stun.TransactionID, stun.BindingRequest), make([]byte, stunMost)...),
		"nothing":             nil,
	} {
		if got := bindingAnswer(raw, from); got != nil {
			t.Errorf("%s: answered %x", name, got)
		}
	}
	m := &stun.Message{Raw: bindingAnswer(ask(t, stun.TransactionID, stun.BindingRequest, stun.RawAttribute{Type: 0x0003, Value: make([]byte, 4)}), from)}
	var code stun.ErrorCodeAttribute
	if err := m.Decode(); err != nil || m.Type != stun.BindingError || code.GetFrom(m) != nil || code.Code != 420 {
		t.Errorf("an attribute that must be known: %v %v", m, err)
	}
}

func FuzzSTUN(f *testing.F) {
	f.Add(ask(f, stun.TransactionID, stun.BindingRequest, stun.Fingerprint))
	f.Add(ask(f, stun.TransactionID, stun.BindingRequest, stun.RawAttribute{Type: 0x0003, Value: make([]byte, 4)}))
	from := netip.MustParseAddrPort("192.0.2.10:40001")
	f.Fuzz(func(t *testing.T, raw []byte) {
		if got := bindingAnswer(raw, from); len(got) > len(raw)+64 {
			t.Errorf("%d octets for %d", len(got), len(raw))
		}
	})
}
