package media

import (
	"runtime"
	"testing"

	"linekeeper/sbc/sdp"
)

// TestMediaOfACallTakesLittleMemory holds two streams with SRTP on one side, heard and
// reported on, against 20 KiB.
func TestMediaOfACallTakesLittleMemory(t *testing.T) {
	e, err := New(Config{Rest: -1})
	if err != nil {
		t.Fatal(err)
	}
	w := e.workers[0]
	held := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	const calls = 400
	before := held()
	var all []*Stream
	for range calls {
		var legs [2]*Stream
		for i := range legs {
			s, err := e.Open(Side{Leg: "lan", Addr: lo, Low: 30000, High: 49999})
			if err != nil {
				t.Fatal(err)
			}
			f := sdp.Flow{Remote: s.Local(), RemoteRTCP: addPort(s.Local()), Send: true, Recv: true, Formats: pcma()}
			if i == 1 {
				f.In, f.Out = testKey(sdp.AES256SHA80, 1), testKey(sdp.AES256SHA80, 2)
			}
			set(t, s, f)
			legs[i] = s
			all = append(all, s)
		}
		e.Bridge(legs[0], legs[1])
		w.commands()
		w.beginReports(legs[0])
		w.beginReports(legs[1])
	}
	if each := (held() - before) / calls; each > 20<<10 {
		t.Errorf("the media of a call takes %d bytes", each)
	} else {
		t.Logf("the media of a call takes %d bytes", each)
	}
	runtime.KeepAlive(all)
	w.shut()
	if e.steer != nil {
		e.steer.close()
	}
}
