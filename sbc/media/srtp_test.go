package media

import (
	"bytes"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/pion/rtcp"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestKeyDerivationOfRFC3711 is Appendix B.3.
func TestKeyDerivationOfRFC3711(t *testing.T) {
	k := sdp.Key{Suite: sdp.AES128SHA80, Material: unhex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"+"0EC675AD498AFEEBB6960B3AABE6")}
	p, err := newProtection(k)
	if err != nil {
		t.Fatal(err)
	}
	if want := unhex(t, "30CBBC08863D8C85D49DB34A9AE1"); !bytes.Equal(p.rtp.salt[:14], want) {
		t.Errorf("session salt %x, want %x", p.rtp.salt[:14], want)
	}
	// The session key shows in the first key stream block: C61E7A93744F39EE10734AFE3FF7A087.
	var a, b [16]byte
	p.rtp.block.Encrypt(a[:], make([]byte, 16))
	q := transform{}
	if err := q.raw(unhex(t, "C61E7A93744F39EE10734AFE3FF7A087")); err != nil {
		t.Fatal(err)
	}
	q.block.Encrypt(b[:], make([]byte, 16))
	if a != b {
		t.Error("session key differs from the appendix")
	}
}

// TestCounterModeOfRFC3711 is Appendix B.2: the key stream of session key and salt.
func TestCounterModeOfRFC3711(t *testing.T) {
	q := transform{}
	if err := q.raw(unhex(t, "2B7E151628AED2A6ABF7158809CF4F3C")); err != nil {
		t.Fatal(err)
	}
	copy(q.salt[:], unhex(t, "F0F1F2F3F4F5F6F7F8F9FAFBFCFD"))
	q.counterIV(0, 0)
	got := make([]byte, 48)
	q.counter(got)
	want := unhex(t, "E03EAD0935C95E80E166B16DD92B4EB4"+"D23513162B02D0F72A43A2FE4A5F97AB"+"41E95B3BB0A2E8DD477901E4FCA894C0")
	if !bytes.Equal(got, want) {
		t.Errorf("key stream %x, want %x", got, want)
	}
}

// TestGCMOfRFC7714 is section 16.1.1: the session key and salt are given.
func TestGCMOfRFC7714(t *testing.T) {
	q := transform{}
	if err := q.raw(unhex(t, "000102030405060708090a0b0c0d0e0f")); err != nil {
		t.Fatal(err)
	}
	if err := q.gcm(); err != nil {
		t.Fatal(err)
	}
	copy(q.salt[:], unhex(t, "517569642070726f2071756f"))
	clear := unhex(t, "8040f17b8041f8d35501a0b2"+"47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573")
	want := unhex(t, "8040f17b8041f8d35501a0b2"+"f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833899d7f27beb16a9152cf765ee4390cce")
	p := &protection{rtp: q}
	got := p.protectRTP(append(make([]byte, 0, 256), clear...), rtp.HeaderLen)
	if !bytes.Equal(got, want) {
		t.Fatalf("protected\n%x, want\n%x", got, want)
	}
	back, err := (&protection{rtp: q}).unprotectRTP(append([]byte(nil), want...), rtp.HeaderLen)
	if err != nil || !bytes.Equal(back, clear) {
		t.Errorf("unprotected %x, %v", back, err)
	}
}

// TestGCM256OfRFC7714 is section 16.2.1.
func TestGCM256OfRFC7714(t *testing.T) {
	q := transform{}
	if err := q.raw(unhex(t, "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")); err != nil {
		t.Fatal(err)
	}
	if err := q.gcm(); err != nil {
		t.Fatal(err)
	}
	copy(q.salt[:], unhex(t, "517569642070726f2071756f"))
	clear := unhex(t, "8040f17b8041f8d35501a0b2"+"47616c6c696120657374206f6d6e69732064697669736120696e207061727465732074726573")
	want := unhex(t, "8040f17b8041f8d35501a0b2"+"32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13")
	got := (&protection{rtp: q}).protectRTP(append(make([]byte, 0, 256), clear...), rtp.HeaderLen)
	if !bytes.Equal(got, want) {
		t.Errorf("protected\n%x, want\n%x", got, want)
	}
}

// TestGCMOfControlPacketsOfRFC7714 is section 17.1: AEAD_AES_128_GCM over SRTCP.
func TestGCMOfControlPacketsOfRFC7714(t *testing.T) {
	q := transform{}
	if err := q.raw(unhex(t, "000102030405060708090a0b0c0d0e0f")); err != nil {
		t.Fatal(err)
	}
	if err := q.gcm(); err != nil {
		t.Fatal(err)
	}
	copy(q.salt[:], unhex(t, "517569642070726f2071756f"))
	clear := unhex(t, "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef")
	want := unhex(t, "81c8000d4d61727363e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade800005d4")
	p := &protection{rtcp: q}
	p.admit(0x4d617273).rtcpIndex = 0x5d3
	if got := p.protectRTCP(append(make([]byte, 0, 256), clear...)); !bytes.Equal(got, want) {
		t.Errorf("protected\n%x, want\n%x", got, want)
	}
	back, err := (&protection{rtcp: q}).unprotectRTCP(append([]byte(nil), want...))
	if err != nil || !bytes.Equal(back, clear) {
		t.Errorf("unprotected %x, %v", back, err)
	}
}

func TestControlPacketsMatchPionInEverySuite(t *testing.T) {
	for _, s := range []sdp.Suite{sdp.AES128SHA80, sdp.AES128SHA32, sdp.AES256SHA80, sdp.AES128GCM, sdp.AES256GCM} {
		k := testKey(s, 5)
		peer := pion(t, k)
		ours, err := newProtection(*k)
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := newProtection(*k)
		if err != nil {
			t.Fatal(err)
		}
		clear, err := rtcp.Marshal([]rtcp.Packet{&rtcp.ReceiverReport{SSRC: 77, Reports: []rtcp.ReceptionReport{{SSRC: 9}}}})
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			sealed := ours.protectRTCP(append(make([]byte, 0, 256), clear...))
			got, err := peer.DecryptRTCP(nil, sealed, nil)
			if err != nil || !bytes.Equal(got, clear) {
				t.Fatalf("%s: pion reads ours: %v", s, err)
			}
			sealed, err = peer.EncryptRTCP(nil, clear, nil)
			if err != nil {
				t.Fatal(err)
			}
			again := append([]byte(nil), sealed...)
			if got, err = theirs.unprotectRTCP(sealed); err != nil || !bytes.Equal(got, clear) {
				t.Fatalf("%s: ours reads pion's: %v", s, err)
			}
			if _, err = theirs.unprotectRTCP(again); !errors.Is(err, errReplay) {
				t.Fatalf("%s: replayed: %v", s, err)
			}
		}
	}
}

func TestForgedSourcesMakeNoState(t *testing.T) {
	p, err := newProtection(*testKey(sdp.AES128SHA80, 1))
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 64)
	for i := range 1000 {
		rtp.Header{SSRC: uint32(i)}.Put(b)
		if _, err := p.unprotectRTP(b, rtp.HeaderLen); !errors.Is(err, errAuth) {
			t.Fatal(err)
		}
	}
	if p.source(5) != nil {
		t.Error("a forged packet made state")
	}
}

func TestNoCounterIsUsedTwice(t *testing.T) {
	for _, s := range []sdp.Suite{sdp.AES128SHA80, sdp.AES128GCM} {
		p, err := newProtection(*testKey(s, 1))
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64, 256)
		rtp.Header{SSRC: 1, Sequence: 9}.Put(b)
		if p.protectRTP(b, rtp.HeaderLen) == nil {
			t.Fatal("first use refused")
		}
		if p.protectRTP(b, rtp.HeaderLen) != nil {
			t.Error("second packet under one counter")
		}
	}
}

func TestIdentifierOfTheKeyIsStrippedAndChecked(t *testing.T) {
	for _, s := range []sdp.Suite{sdp.AES128SHA80, sdp.AES128GCM} {
		k := *testKey(s, 1)
		k.MKI = []byte{0, 0, 0, 1}
		out, err := newProtection(k)
		if err != nil {
			t.Fatal(err)
		}
		in, err := newProtection(k)
		if err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 64, 256)
		rtp.Header{SSRC: 1, Sequence: 9}.Put(b)
		clear := append([]byte(nil), b...)
		if got, err := in.unprotectRTP(out.protectRTP(b, rtp.HeaderLen), rtp.HeaderLen); err != nil || !bytes.Equal(got, clear) {
			t.Errorf("%s: %v", s, err)
		}
	}
}

func FuzzUnprotect(f *testing.F) {
	f.Add(make([]byte, 60), true)
	f.Add([]byte{0x80, 0xc8, 0, 1, 0, 0, 0, 0}, false)
	f.Fuzz(func(t *testing.T, b []byte, gcm bool) {
		s := sdp.AES128SHA80
		if gcm {
			s = sdp.AES128GCM
		}
		p, err := newProtection(*testKey(s, 1))
		if err != nil {
			t.Fatal(err)
		}
		if h, ok := rtp.Parse(b); ok {
			if _, err := p.unprotectRTP(append([]byte(nil), b...), h.Len); err == nil {
				t.Error("accepted")
			}
		}
		if _, err := p.unprotectRTCP(append([]byte(nil), b...)); err == nil {
			t.Error("accepted")
		}
	})
}
