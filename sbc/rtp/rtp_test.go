package rtp

import (
	"bytes"
	"math"
	"testing"

	pionrtcp "github.com/pion/rtcp"
	pionrtp "github.com/pion/rtp"
)

func TestHeaderAgreesWithPion(t *testing.T) {
	p := pionrtp.Packet{Header: pionrtp.Header{Version: 2, Marker: true, PayloadType: 8, SequenceNumber: 65535, Timestamp: 77, SSRC: 99, CSRC: []uint32{1, 2}}, Payload: []byte("voice")}
	if err := p.SetExtension(1, []byte{5}); err != nil {
		t.Fatal(err)
	}
	b, err := p.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	h, ok := Parse(b)
	if !ok || !h.Marker || h.Payload != 8 || h.Sequence != 65535 || h.Timestamp != 77 || h.SSRC != 99 || string(b[h.Len:]) != "voice" {
		t.Fatalf("%+v", h)
	}
	h.Payload, h.Marker, h.Sequence = 101, false, 3
	h.Rewrite(b)
	if err := p.Unmarshal(b); err != nil || p.PayloadType != 101 || p.Marker || p.SequenceNumber != 3 || len(p.CSRC) != 2 {
		t.Errorf("rewritten: %+v %v", p, err)
	}
	for n := range h.Len {
		if _, ok := Parse(b[:n]); ok {
			t.Errorf("%d bytes accepted", n)
		}
	}
}

// feed tracks packets of one source at their nominal times.
func feed(t *Track, ssrc uint32, seqs ...uint16) (v Verdict) {
	for _, s := range seqs {
		v = t.Packet(Header{SSRC: ssrc, Sequence: s, Timestamp: uint32(s) * 160}, uint32(s)*160)
	}
	return v
}

func TestLossIsCountedOverWrapsReorderingAndRestarts(t *testing.T) {
	for _, c := range []struct {
		name string
		seqs []uint16
		lost uint64
		last Verdict
	}{
		{"in order over the wrap", []uint16{65534, 65535, 0, 1}, 0, Good},
		{"two lost over the wrap", []uint16{65534, 1, 2}, 2, Good},
		{"late is not lost", []uint16{1, 3, 2, 4}, 0, Good},
		{"doubled", []uint16{1, 2, 2}, 0, Double},
		{"a jump alone", []uint16{1, 2, 30000}, 0, Suspect},
		{"a jump that is confirmed", []uint16{1, 2, 30000, 30001, 30002}, 0, Good},
	} {
		var tr Track
		if v := feed(&tr, 7, c.seqs...); v != c.last || tr.Lost() != c.lost {
			t.Errorf("%s: lost %d verdict %d, want %d %d", c.name, tr.Lost(), v, c.lost, c.last)
		}
	}
	var tr Track
	feed(&tr, 1, 10, 12)
	if v := feed(&tr, 2, 500); v != Fresh || tr.Lost() != 1 {
		t.Errorf("new source: verdict %d, lost %d", v, tr.Lost())
	}
}

func TestJitterFollowsRFC3550(t *testing.T) {
	var tr Track
	want := 0.0
	late := []uint32{0, 80, 0, 40, 120, 0, 0, 200}
	for i, d := range late {
		tr.Packet(Header{Sequence: uint16(i), Timestamp: uint32(i) * 160}, uint32(i)*160+d)
		if i > 0 {
			want += (math.Abs(float64(d)-float64(late[i-1])) - want) / 16
		}
	}
	if got := float64(tr.Jitter()); math.Abs(got-want) > 1.5 {
		t.Errorf("jitter %v, want %v", got, want)
	}
}

func TestReportBlockTellsTheLossSinceTheLast(t *testing.T) {
	var tr Track
	feed(&tr, 7, 0, 1, 3) // one of four
	if b := tr.Block(); b.Fraction != 64 || b.Lost != 1 || b.Highest != 3 {
		t.Errorf("%+v", b)
	}
	feed(&tr, 7, 4, 5)
	if b := tr.Block(); b.Fraction != 0 || b.Lost != 1 {
		t.Errorf("%+v", b)
	}
}

func TestReportsAgreeWithPion(t *testing.T) {
	r := Report{Sender: true, SSRC: 5, NTP: 1 << 60, Timestamp: 9, Packets: 3, Octets: 480, Count: 1,
		Blocks: [4]Block{{SSRC: 6, Fraction: 12, Lost: -2, Highest: 70000, Jitter: 4, LSR: 11, DLSR: 12}}}
	for _, name := range []string{"", "a", "abcd", "abcdefghij"} {
		b := r.Append(nil, name)
		list, err := pionrtcp.Unmarshal(b)
		if err != nil || len(b)%4 != 0 {
			t.Fatalf("%q: %v", name, err)
		}
		sr := list[0].(*pionrtcp.SenderReport)
		if sr.SSRC != 5 || sr.NTPTime != 1<<60 || sr.OctetCount != 480 || sr.Reports[0].LastSequenceNumber != 70000 || sr.Reports[0].TotalLost != 0xfffffe {
			t.Errorf("%+v", sr)
		}
		if got := list[1].(*pionrtcp.SourceDescription).Chunks[0].Items[0].Text; got != name {
			t.Errorf("name %q", got)
		}
		if back, ok := ParseReport(b); !ok || back != r {
			t.Errorf("%+v, want %+v", back, r)
		}
		if !bytes.Equal(b[:4], []byte{0x81, 200, 0, 12}) {
			t.Errorf("head %x", b[:4])
		}
	}
}

func TestEModelWorkedExamples(t *testing.T) {
	for _, c := range []struct {
		name   string
		p      Path
		r, mos float64
	}{
		{"G.711, perfect", Path{Codec: CodecOf("PCMA")}, 93.2, 4.41},
		{"G.729A, perfect", Path{Codec: CodecOf("G729")}, 82.2, 4.1},
		{"G.711, 1 % random loss", Path{Loss: 0.01, Codec: CodecOf("PCMA")}, 89.56, 4.33}, // 95/26.1 = 3.64
		{"G.711, 5 % random loss", Path{Loss: 0.05, Codec: CodecOf("PCMA")}, 77.42, 3.92}, // 475/30.1 = 15.78
		{"200 ms", Path{Delay: 200, Codec: CodecOf("PCMA")}, 90.2, 4.34},                  // Idd about 3.0
		{"nothing arrives", Path{Loss: 1, Codec: CodecOf("PCMA")}, 17.3, 1.19},
	} {
		r := R(c.p)
		if math.Abs(r-c.r) > 0.35 || math.Abs(MOS(r)-c.mos) > 0.08 {
			t.Errorf("%s: R %.2f MOS %.2f, want %.2f %.2f", c.name, r, MOS(r), c.r, c.mos)
		}
	}
	if MOS(0) != 1 || MOS(100) != 4.5 {
		t.Error("ends of the scale")
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{0x80, 200, 0, 6, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, ok := Parse(b); ok && (h.Len > len(b) || h.Len < HeaderLen) {
			t.Error(h)
		}
		if r, ok := ParseReport(b); ok {
			if back, ok := ParseReport(r.Append(nil, "x")); !ok || back != r {
				t.Errorf("%+v became %+v", r, back)
			}
		}
	})
}
