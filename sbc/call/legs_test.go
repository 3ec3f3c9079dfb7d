package call

import (
	"strings"
	"testing"
)

// TestLegsAreSeenAsTheirPhonesSeeThem follows a call to two phones of one
// extension by what the legs say of it.
func TestLegsAreSeenAsTheirPhonesSeeThem(t *testing.T) {
	r := newRig(t)
	play := func(line string) { r.act(strings.Fields(line)) }
	play("plan one two")
	for _, step := range []struct{ line, want string }{
		{"A -> box INVITE sdp", "22 called=false trying tok-0/peer-A, 23 called=true trying tok-1/, 23 called=true trying tok-2/"},
		{"B1 -> box 100", "22 called=false trying tok-0/peer-A, 23 called=true trying tok-1/, 23 called=true trying tok-2/"},
		{"B1 -> box 180", "22 called=false early tok-0/peer-A, 23 called=true early tok-1/peer-B1, 23 called=true trying tok-2/"},
		{"B2 -> box 180", "22 called=false early tok-0/peer-A, 23 called=true early tok-1/peer-B1, 23 called=true early tok-2/peer-B2"},
		{"B1 -> box 200 sdp", "22 called=false confirmed tok-0/peer-A, 23 called=true confirmed tok-1/peer-B1"},
		{"A -> box ACK", "22 called=false confirmed tok-0/peer-A, 23 called=true confirmed tok-1/peer-B1"},
		{"A -> box BYE", ""},
	} {
		before := r.m.Legs()
		play(step.line)
		var got []string
		for _, l := range r.m.Legs() {
			word := "false"
			if l.Called {
				word = "true"
			}
			got = append(got, l.Extension+" called="+word+" "+string(l.Stage)+" "+l.LocalTag+"/"+l.RemoteTag)
		}
		text := strings.Join(got, ", ")
		if text != step.want {
			t.Errorf("after %q\n got %s\nwant %s", step.line, text, step.want)
		}
		if !r.m.Standing(r.m.Legs()) {
			t.Errorf("after %q the legs are not what they are", step.line)
		}
		same := strings.HasSuffix(step.line, "100") || strings.HasSuffix(step.line, "ACK")
		if r.m.Standing(before) != same {
			t.Errorf("after %q: unchanged %v, want %v", step.line, !same, same)
		}
	}
	if v := r.m.View(); len(v.Legs) != 0 {
		t.Errorf("an ended call shows %v", v.Legs)
	}
}
