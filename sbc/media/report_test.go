package media

import (
	"math"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/srtp/v3"

	"linekeeper/sbc/rtp"
	"linekeeper/sbc/sdp"
)

// heardRTCP are the compound packets that waited at a peer, decrypted.
func (r *bare) heardRTCP(t *testing.T, peer int, dec *srtp.Context) (list [][]rtcp.Packet) {
	t.Helper()
	for {
		n := receive(r.peers[peer].rtcp, r.buf[:], &r.from)
		if n < 0 {
			return list
		}
		b, err := r.buf[:n], error(nil)
		if dec != nil {
			if b, err = dec.DecryptRTCP(nil, b, nil); err != nil {
				t.Fatal(err)
			}
		}
		all, err := rtcp.Unmarshal(b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		list = append(list, all)
	}
}

// sendRTCP sends a compound packet of a peer.
func (r *bare) sendRTCP(t *testing.T, peer int, enc *srtp.Context, packets ...rtcp.Packet) {
	t.Helper()
	b, err := rtcp.Marshal(packets)
	if err == nil && enc != nil {
		b, err = enc.EncryptRTCP(nil, b, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	to := sockaddrOf(addPort([2]*Stream{r.a, r.b}[peer].Local()))
	if !send(r.peers[peer].rtcp, b, &to) {
		t.Fatal("report not sent")
	}
}

// TestEachLegHasReportsOfItsOwn plays two minutes in which every tenth packet of a is
// lost, and looks at what both are told.
func TestEachLegHasReportsOfItsOwn(t *testing.T) {
	for _, suite := range []sdp.Suite{"", sdp.AES128SHA80, sdp.AES256GCM} {
		r := newBare(t, suite, false)
		var dec, enc *srtp.Context
		if suite != "" {
			dec, enc = pion(t, testKey(suite, 1)), pion(t, testKey(suite, 2))
		}
		const packets = 6000
		var toA, toB [][]rtcp.Packet
		for i := range packets {
			if i%10 == 5 {
				r.seq++
			}
			if !r.one() {
				t.Fatal("not relayed")
			}
			toA, toB = append(toA, r.heardRTCP(t, 0, nil)...), append(toB, r.heardRTCP(t, 1, dec)...)
			if i == packets/2 {
				// What a says of itself and of what it hears is for the box alone.
				r.sendRTCP(t, 0, nil, &rtcp.SenderReport{SSRC: 9, NTPTime: 0x1122334455667788, RTPTime: 1},
					&rtcp.SourceDescription{Chunks: []rtcp.SourceDescriptionChunk{{Source: 9, Items: []rtcp.SourceDescriptionItem{{Type: rtcp.SDESCNAME, Text: "secret@10.0.0.5"}}}}})
			}
		}
		span := packets * 0.02
		for name, list := range map[string][][]rtcp.Packet{"a": toA, "b": toB} {
			if n := float64(len(list)); n < span/(5*1.5/1.2182)-1 || n > span/(5*0.5/1.2182)+1 {
				t.Errorf("%s, %s: %v reports in %v s", suite, name, n, span)
			}
			for _, c := range list {
				if got := c[len(c)-1].(*rtcp.SourceDescription).Chunks[0].Items[0]; got.Type != rtcp.SDESCNAME || len(got.Text) != 20 {
					t.Errorf("%s, %s: name %+v", suite, name, got)
				}
			}
		}
		rr, ok := toA[len(toA)-1][0].(*rtcp.ReceiverReport)
		if !ok || len(rr.Reports) != 1 || rr.Reports[0].SSRC != 9 || rr.Reports[0].LastSenderReport != 0x33445566 {
			t.Fatalf("%s: a is told %+v", suite, toA[len(toA)-1][0])
		}
		k := rr.Reports[0]
		if lost := float64(k.TotalLost); lost < packets*0.09 || lost > packets*0.1 || k.FractionLost < 18 || k.FractionLost > 28 {
			t.Errorf("%s: a is told of %d lost, %d/256 of late", suite, k.TotalLost, k.FractionLost)
		}
		if since := float64(k.Delay) / 65536; since < span/2-10 || since > span/2 {
			t.Errorf("%s: %v since its report", suite, since)
		}
		first, last := toB[0][0].(*rtcp.SenderReport), toB[len(toB)-1][0].(*rtcp.SenderReport)
		passed := float64(last.NTPTime-first.NTPTime) / (1 << 32)
		if units := float64(last.RTPTime - first.RTPTime); math.Abs(units-8000*passed) > 8000*passed/5 || last.SSRC != r.b.live.rewrite.ssrc {
			t.Errorf("%s: b is told of %v units in %v s", suite, units, passed)
		}
		if last.PacketCount < packets*8/10 || last.OctetCount != last.PacketCount*160 {
			t.Errorf("%s: b is told of %d packets, %d octets", suite, last.PacketCount, last.OctetCount)
		}
		// b answers 70 ms after it heard of us, 30 of which it kept the report.
		r.w.report(r.b, false)
		list := r.heardRTCP(t, 1, dec)
		said := list[len(list)-1][0].(*rtcp.SenderReport)
		r.sendRTCP(t, 1, enc, &rtcp.ReceiverReport{SSRC: 8, Reports: []rtcp.ReceptionReport{{SSRC: said.SSRC, TotalLost: 3, Jitter: 16, LastSenderReport: uint32(said.NTPTime >> 16), Delay: 30 * 65536 / 1000}}})
		r.relayAt(r.w.now + int64(70*time.Millisecond))
		if st := r.b.Stats(); math.Abs(float64(st.RoundTrip-40*time.Millisecond)) > 1e6 || st.Out.Lost != 3 || st.Out.Jitter != 2*time.Millisecond {
			t.Errorf("%s: %+v", suite, st)
		}
		r.b.Close()
		r.w.commands()
		list = r.heardRTCP(t, 1, dec)
		if len(list) == 0 {
			t.Fatalf("%s: no goodbye", suite)
		}
		end := list[len(list)-1]
		if bye, ok := end[len(end)-1].(*rtcp.Goodbye); !ok || bye.Sources[0] != said.SSRC {
			t.Errorf("%s: the end is %+v", suite, end)
		}
	}
}

func TestWhoNeverSaidAWordSaysNoGoodbye(t *testing.T) {
	r := newBare(t, "", false)
	r.relayAt(int64(time.Minute))
	r.a.Close()
	r.w.commands()
	if list := r.heardRTCP(t, 0, nil); len(list) != 0 {
		t.Errorf("told %+v", list)
	}
}

func TestReportsShareThePortWhereThatWasAgreed(t *testing.T) {
	r := newBare(t, "", false)
	at := r.b.live.flow
	at.Mux, at.RemoteRTCP = true, at.Remote
	set(t, r.b, at)
	r.w.commands()
	for range 1000 {
		if !r.one() {
			t.Fatal("not relayed")
		}
		for receive(r.in, r.buf[:], &r.from) > 0 {
			if rtp.IsRTCP(r.buf[:]) {
				return
			}
		}
	}
	t.Error("no report by the RTP port")
}

// TestExtendedReportsGoToWhoWantsThem sends a peer what it asked for, and reads what it tells.
func TestExtendedReportsGoToWhoWantsThem(t *testing.T) {
	r := newBare(t, "", false)
	f := r.a.live.flow
	f.XR = sdp.XR{VoIP: true, Summary: true}
	set(t, r.a, f)
	r.w.commands()
	for i := range 1000 {
		if i == 300 || i == 302 || i == 303 || i == 600 {
			r.seq++
		}
		if !r.one() {
			t.Fatal("not relayed")
		}
		r.w.agenda = r.w.agenda[:0] // reports come when the test wants them
	}
	r.w.report(r.a, false)
	list := r.heardRTCP(t, 0, nil)[0]
	voip := list[2].(*rtcp.ExtendedReport).Reports[0].(*rtcp.VoIPMetricsReportBlock)
	if voip.SSRC != 9 || voip.LossRate != 1 || voip.BurstDensity < 80 || voip.BurstDensity > 170 || voip.BurstDuration < 60 || voip.BurstDuration > 160 || voip.Gmin != 16 || voip.MOSCQ < 40 {
		t.Errorf("%+v", voip)
	}
	sum := list[3].(*rtcp.ExtendedReport).Reports[0].(*rtcp.StatisticsSummaryReportBlock)
	if sum.SSRC != 9 || sum.BeginSeq >= sum.EndSeq || !sum.LossReports || !sum.DuplicateReports || sum.JitterReports {
		t.Errorf("%+v", sum)
	}
	r.sendRTCP(t, 0, nil, &rtcp.ReceiverReport{SSRC: 9}, &rtcp.ExtendedReport{SenderSSRC: 9, Reports: []rtcp.ReportBlock{
		&rtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: 0x1122334455667788},
		&rtcp.VoIPMetricsReportBlock{SSRC: r.a.live.rewrite.ssrc, RFactor: 80, MOSLQ: 41, MOSCQ: 38},
	}})
	r.relay()
	if st := r.a.Stats(); st.Out.Told != 3.8 {
		t.Errorf("told %v", st.Out.Told)
	}
	_ = r.heardRTCP(t, 0, nil)
	r.w.now += int64(time.Second) // without a report that may be due
	r.w.report(r.a, false)
	list = r.heardRTCP(t, 0, nil)[0]
	since := list[len(list)-1].(*rtcp.ExtendedReport).Reports[0].(*rtcp.DLRRReportBlock).Reports[0]
	if since.SSRC != 9 || since.LastRR != 0x33445566 || since.DLRR < 65536 || since.DLRR > 70000 {
		t.Errorf("%+v", since)
	}
}
