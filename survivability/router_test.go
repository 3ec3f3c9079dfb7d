package survivability

import (
	"testing"

	"linekeeper/sbc/call"
	"linekeeper/sbc/number"
)

// desk is a switchboard that says what it was asked for.
type desk struct{ asked string }

func (d *desk) Dial(text string) number.Dialled {
	m := map[string]number.Meaning{"110": number.Emergency, "23": number.Extension, "29": number.Vacant, "*21": number.Code, "0900": number.Blocked,
		"089": number.Outside, "0043": number.Outside}[text]
	class := number.National
	if text == "0043" {
		class = number.International
	}
	return number.Dialled{Meaning: m, Text: text, Class: class}
}

func (d *desk) May(_ string, c number.Class) bool { return number.National.Covers(c) }
func (d *desk) ExtensionOf(account string) string { return map[string]string{"acc22": "22"}[account] }

func (d *desk) RingExtension(_ call.Invite, ext string) call.Plan {
	d.asked = "ring " + ext
	return call.Plan{Way: call.Internal}
}

func (d *desk) Emergency(_ call.Invite, n number.Dialled) call.Plan {
	d.asked = "emergency " + n.Text
	return call.Plan{Way: call.Cloud}
}

func TestSurvivalRoutesInTheFixedOrder(t *testing.T) {
	for _, row := range []struct {
		line, dialled, asks string
		code                int
		way                 call.Way
	}{
		{"", "110", "emergency 110", 0, call.Cloud},
		{"", "23", "ring 23", 0, call.Internal},
		{"", "29", "", 404, call.Internal},
		{"", "hello", "", 404, call.Internal},
		{"", "*21", "", 503, call.Cloud},
		{"", "0900", "", 403, call.Internal},
		{"", "0043", "", 403, call.Internal},
		{"", "089", "", 503, call.Cloud},
		{"acc22", "whatever", "ring 22", 0, call.Internal},
		{"acc99", "23", "ring ", 0, call.Internal},
	} {
		d := &desk{}
		p := New(d).Route(call.Invite{Caller: call.Party{Extension: "24", Line: row.line}, Dialled: row.dialled})
		code := 0
		if p.Reject != nil {
			code = p.Reject.Code
			if code == 503 && p.Reject.After <= 0 {
				t.Errorf("%s: no retry-after", row.dialled)
			}
			if p.Reject.Cause == nil {
				t.Errorf("%s: refused without a reason", row.dialled)
			}
		}
		if d.asked != row.asks || code != row.code || p.Way != row.way {
			t.Errorf("%+v: asked %q, code %d, way %s", row, d.asked, code, p.Way)
		}
	}
}
