package media

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun/v3"

	"linekeeper/sbc/sdp"
)

// TestSampleMessagesOfRFC5769 reads the messages of sections 2.1 and 2.2 as an agent
// would, and writes the same attributes.
func TestSampleMessagesOfRFC5769(t *testing.T) {
	const password = "VOkJxbRl1RmTxUk/WvJxBt"
	request := unhex(t, "000100582112a442b7e7a701bc34d686fa87dfae"+
		"802200105354554e207465737420636c69656e74"+
		"002400046e0001ff"+"80290008932ff9b151263b36"+
		"000600096576746a3a68367659202020"+
		"000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2"+
		"80280004e57a3bcf")
	m, k, ok := readBinding(request)
	if !ok || !k.request || k.user != "evtj:h6vY" || k.priority != 0x6e0001ff || !k.role || k.controlling || k.tie != 0x932ff9b151263b36 || k.nominate {
		t.Fatalf("request read as %+v, %v", k, ok)
	}
	if !authentic(m, sdp.Secret(password)) || authentic(m, sdp.Secret("wrong")) || !k.forUs("evtj") || k.forUs("h6vY") {
		t.Error("the integrity of the request")
	}
	response := unhex(t, "0101003c2112a442b7e7a701bc34d686fa87dfae"+
		"8022000b7465737420766563746f7220"+
		"002000080001a147e112a643"+
		"000800142b91f599fd9e90c38c7489f92af9ba53f06be7d7"+
		"80280004c07d4c96")
	m, k, ok = readBinding(response)
	if !ok || !k.success || !authentic(m, sdp.Secret(password)) {
		t.Fatalf("response read as %+v, %v", k, ok)
	}
	if at, ok := mapped(m); !ok || at != netip.MustParseAddrPort("192.0.2.1:32853") {
		t.Errorf("mapped address %v", at)
	}
	response6 := unhex(t, "010100482112a442b7e7a701bc34d686fa87dfae"+
		"8022000b7465737420766563746f7220"+
		"002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9"+
		"00080014a382954e4be67bf11784c97c8292c275bfe3ed41"+
		"80280004c8fb0b4c")
	m, k, ok = readBinding(response6)
	if at, has := mapped(m); !ok || !k.success || !authentic(m, sdp.Secret(password)) || !has || at != netip.MustParseAddrPort("[2001:db8:1234:5678:11:2233:4455:6677]:32853") {
		t.Errorf("IPv6 response: %v %v", at, ok)
	}
	for i := range request {
		broken := append([]byte(nil), request...)
		broken[i] ^= 1
		if m, _, ok := readBinding(broken); ok && authentic(m, sdp.Secret(password)) {
			t.Fatalf("octet %d changed and nobody sees it", i)
		}
	}
}

// agents are two checkers that know of each other.
func agents(aLite, bLite bool) (a, b *checker) {
	own := [2]sdp.ICE{{Ufrag: "aaaa", Pwd: sdp.Secret("aaaaaaaaaaaaaaaaaaaaaaaa"), Lite: aLite}, {Ufrag: "bbbb", Pwd: sdp.Secret("bbbbbbbbbbbbbbbbbbbbbbbb"), Lite: bLite}}
	for i := range own {
		own[i].Candidates = []sdp.Candidate{{Foundation: "1", Component: 1, Priority: sdp.Priority(sdp.PreferHost, 1), Addr: agentAddr(i), Type: "host"}}
	}
	a = newChecker(&sdp.Checks{Local: own[0], Remote: own[1], Controlling: !aLite}, 1, 1, 0)
	b = newChecker(&sdp.Checks{Local: own[1], Remote: own[0], Controlling: aLite && !bLite}, 1, 2, 0)
	return a, b
}

func agentAddr(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), 4000)
}

// TestRoleConflictIsSettled has two agents that both control, and two of which none
// does (RFC 8445 7.3.1.1): in both cases one answers 487, or takes the other part.
func TestRoleConflictIsSettled(t *testing.T) {
	for _, both := range []bool{true, false} {
		a, b := agents(false, false)
		a.controlling, b.controlling = both, both
		a.tie, b.tie = 10, 5
		k := &binding{request: true, role: true, controlling: both, tie: b.tie}
		refuses := a.conflict(k)
		if both && (!refuses || !a.controlling) {
			t.Error("the greater number gave way")
		}
		if !both && (refuses || !a.controlling) {
			t.Error("the greater number did not take control")
		}
		k.tie = 20
		a.controlling = both
		refuses = a.conflict(k)
		if both && (refuses || a.controlling) {
			t.Error("the smaller number kept control")
		}
		if !both && (!refuses || a.controlling) {
			t.Error("the smaller number took control")
		}
		// The one that was refused takes the part that it did not have.
		p, _ := b.next(0)
		b.controlling = both
		b.sent(p, 0)
		b.response(p.to, &binding{id: p.id, code: 487}, 1)
		if b.controlling == both {
			t.Error("refused, and the part stays")
		}
	}
}

// TestChecksAreRepeatedAndGivenUp counts the transmissions of a check that nobody answers.
func TestChecksAreRepeatedAndGivenUp(t *testing.T) {
	a, _ := agents(false, false)
	var at []time.Duration
	for now := int64(0); now < int64(2*time.Minute); now += int64(10 * time.Millisecond) {
		if p, _ := a.next(now); p != nil {
			a.sent(p, now)
			at = append(at, time.Duration(now))
		}
	}
	if len(at) != maxTries || at[1]-at[0] != time.Duration(checkTimeout) || at[2]-at[1] != 2*time.Duration(checkTimeout) || a.pairs[0].state != pairFailed {
		t.Errorf("sent at %v, then %d", at, a.pairs[0].state)
	}
	// A check of the peer's brings it back.
	if usable, _ := a.request(&a.pairs[0], &binding{request: true}, 0); usable {
		t.Error("usable before it was proved")
	}
	if p, _ := a.next(int64(3 * time.Minute)); p == nil || !p.triggered {
		t.Error("not triggered by the peer's check")
	}
}

// TestAddressesOfAPeerAreBounded floods an agent with authentic checks from everywhere.
func TestAddressesOfAPeerAreBounded(t *testing.T) {
	a, _ := agents(true, false)
	for i := range 10 * maxPairs {
		a.pair(netip.AddrPortFrom(agentAddr(9).Addr(), uint16(i+1)), 1, sdp.PreferHost)
	}
	if len(a.pairs) != maxPairs {
		t.Errorf("%d pairs", len(a.pairs))
	}
	if a.pair(agentAddr(1), 1, sdp.PreferHost) == nil {
		t.Error("the signalled one was pushed out")
	}
}

// TestConsentEndsAfterThirtySeconds (RFC 7675): the checks go on every five seconds or
// so, an answer to any of them is consent, none for 30 s is its end, told once.
func TestConsentEndsAfterThirtySeconds(t *testing.T) {
	a, _ := agents(false, false)
	a.choose(&a.pairs[0], 0)
	ends, checks := 0, 0
	var last int64
	for now := int64(0); now < int64(3*time.Minute); now += int64(50 * time.Millisecond) {
		if id, due := a.consentCheck(now); due {
			if gap := now - last; gap < consentInterval*7/10 || gap > consentInterval*13/10 {
				t.Errorf("%v between two checks", time.Duration(gap))
			}
			last = now
			if checks++; now < int64(time.Minute) {
				a.response(agentAddr(1), &binding{id: id, success: true}, now)
			} else { // answers from elsewhere, or to nothing that was asked, are none
				a.response(agentAddr(5), &binding{id: id, success: true}, now)
				a.response(agentAddr(1), &binding{id: [12]byte{1}, success: true}, now)
			}
		}
		if a.expired(now) {
			if ends++; now < int64(85*time.Second) || now > int64(92*time.Second) {
				t.Errorf("consent ended at %v", time.Duration(now))
			}
		}
	}
	if ends != 1 || checks < 15 || checks > 23 {
		t.Errorf("%d ends, %d checks", ends, checks)
	}
}

func FuzzBinding(f *testing.F) {
	m, err := stun.Build(stun.TransactionID, stun.BindingRequest, stun.NewUsername("a:b"), stun.NewShortTermIntegrity("pw"), stun.Fingerprint)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(m.Raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		m, k, ok := readBinding(b)
		if ok && authentic(m, sdp.Secret("not guessed by a fuzzer")) {
			t.Errorf("authentic: %+v", k)
		}
	})
}
