package number

import "testing"

// What users of the five systems dial, by their documents' examples. The
// systems themselves are of no concern here: only how each wants numbers.

func TestTheExtensionLengthIsThatOfTheLongestOne(t *testing.T) {
	// XPhone's page: +49(89)887766-xxx(x) with 771, 7770 and 7701 has four.
	b := NewBook(Plan{Country: "DE", AreaCode: "89", Emergency: []string{"110", "112"}, Extensions: map[string]E164{
		"771": "+4989887766771", "7770": "+49898877667770", "7701": "+49898877667701",
	}})
	if got := b.ExtensionLength(); got != 4 {
		t.Fatalf("the length is %d, want 4", got)
	}
	for dialled, want := range map[string]Dialled{
		"771":                {Meaning: Extension, Text: "771", Class: Internal},
		"7701":               {Meaning: Extension, Text: "7701", Class: Internal},
		"7702":               {Meaning: Vacant, Text: "7702", Class: Internal},
		"77010":              {Meaning: Outside, Text: "77010", Number: "+498977010", Class: Local},
		"5601":               {Meaning: Vacant, Text: "5601", Class: Internal},
		"0895601":            {Meaning: Outside, Text: "0895601", Number: "+49895601", Class: Local},
		"+49(89)887766-7770": {Meaning: Extension, Text: "7770", Number: "+49898877667770", Class: Internal},
		"887766771":          {Meaning: Extension, Text: "771", Number: "+4989887766771", Class: Internal},
		"112":                {Meaning: Emergency, Text: "112"},
	} {
		if got := b.Dial(dialled); got != want {
			t.Errorf("%q: %+v, want %+v", dialled, got, want)
		}
	}
}

// office is a site in Munich with two-digit extensions.
func office(outside string) *Book {
	return NewBook(Plan{
		Country: "DE", AreaCode: "89", Outside: outside, Emergency: []string{"110", "112"},
		Blocked:    []string{"010", "011", "012", "0900"},
		Extensions: map[string]E164{"22": "+498912345622", "23": "+498912345623"},
	})
}

func TestANumberIsWrittenForEachProvider(t *testing.T) {
	b := office("")
	for _, c := range []struct {
		dialled         string
		plus, area, e00 string // as M-net, CNT and Telekom have it; HFO; others
		class           Class
	}{
		{"06131 123456", "+496131123456", "06131123456", "00496131123456", National},
		{"0049 6131 123456", "+496131123456", "06131123456", "00496131123456", National},
		{"+49 6131 123456", "+496131123456", "06131123456", "00496131123456", National},
		{"+49 (0)6131 123456", "+496131123456", "06131123456", "00496131123456", National},
		{"0049(0)6131/123456", "+496131123456", "06131123456", "00496131123456", National},
		{"5601", "+49895601", "0895601", "0049895601", Local},
		{"123456-0", "+49891234560", "0891234560", "0049891234560", Local},
		{"0171 2345678", "+491712345678", "01712345678", "00491712345678", National},
		{"0043 1 234567", "+431234567", "00431234567", "00431234567", International},
		{"19222", "+498919222", "08919222", "00498919222", Local},
		{"089 19222", "+498919222", "08919222", "00498919222", Local},
		{"116117", "116117", "116117", "116117", Local},
		{"116116", "116116", "116116", "116116", Local},
		{"115", "115", "115", "115", Local},
		{"11833", "11833", "11833", "11833", National},
		{"118000", "118000", "118000", "118000", National},
	} {
		d := b.Dial(c.dialled)
		if d.Meaning != Outside || d.Class != c.class {
			t.Errorf("%q: %+v, want an outside number of class %s", c.dialled, d, c.class)
			continue
		}
		if plus, area, e00 := b.Write(d, WithPlus), b.Write(d, WithArea), b.Write(d, WithZeros); plus != c.plus || area != c.area || e00 != c.e00 {
			t.Errorf("%q: %s %s %s, want %s %s %s", c.dialled, plus, area, e00, c.plus, c.area, c.e00)
		}
	}
}

func TestWhatIsBarredByDefaultIsBarredInEveryForm(t *testing.T) {
	for _, outside := range []string{"", "0"} {
		b := office(outside)
		for _, dialled := range []string{"01033 089 5601", "011 123456", "0123 4567", "0900 1 234567"} {
			if d := b.Dial(outside + dialled); d.Meaning != Blocked {
				t.Errorf("outside %q: %q is %+v, want it blocked", outside, dialled, d)
			}
		}
		for _, dialled := range []string{"+49900 1234567", "+49 (0)900 1234567", "*31#" + outside + "09001234567"} {
			if d := b.Dial(dialled); d.Meaning != Blocked {
				t.Errorf("outside %q: %q is %+v, want it blocked", outside, dialled, d)
			}
		}
	}
}

func TestEmergencyNumbersComeBeforeEverything(t *testing.T) {
	// An extension, a short number, a blocked range and a code of the same digits
	// are all there; none of them wins.
	b := NewBook(Plan{
		Country: "DE", AreaCode: "89", Outside: "0", Emergency: []string{"110", "112"}, Blocked: []string{"11", "0"},
		Short: map[string]string{"112": "22"}, Extensions: map[string]E164{"110": "", "112": "", "22": ""},
	})
	for _, dialled := range []string{"110", "112", "0112", "0110", "+49112", "1-1-2", "*31#112", "#31#110", "*31#0112"} {
		d := b.Dial(dialled)
		if d.Meaning != Emergency || d.Class != "" || d.Privacy != AsSet {
			t.Errorf("%q: %+v, want an emergency call whose number is shown", dialled, d)
		}
	}
}

func TestTheOwnNumberIsWithheldForOneCall(t *testing.T) {
	for _, c := range []struct {
		outside, dialled string
		want             Dialled
	}{
		{"", "*31#089 5601", Dialled{Outside, "0895601", "+49895601", Local, Withheld}},
		{"", "#31#0895601", Dialled{Outside, "0895601", "+49895601", Local, Shown}},
		{"0", "*31#00895601", Dialled{Outside, "0895601", "+49895601", Local, Withheld}},
		{"", "*31#23", Dialled{Extension, "23", "", Internal, Withheld}},
		{"", "*31#", Dialled{Meaning: Code, Text: "*31#", Class: Internal}},
		{"", "*31", Dialled{Meaning: Code, Text: "*31", Class: Internal}},
		{"", "*31#*72#", Dialled{Meaning: Code, Text: "*31#*72#", Class: Internal}},
		{"", "*31#*31#0895601", Dialled{Meaning: Code, Text: "*31#*31#0895601", Class: Internal}},
		{"", "*31#x", Dialled{}},
	} {
		if got := office(c.outside).Dial(c.dialled); got != c.want {
			t.Errorf("outside %q: %q is %+v, want %+v", c.outside, c.dialled, got, c.want)
		}
	}
	for _, c := range []struct {
		p           Privacy
		phone, want bool
	}{{AsSet, false, false}, {AsSet, true, true}, {Withheld, false, true}, {Shown, true, false}} {
		if got := c.p.Withholds(c.phone); got != c.want {
			t.Errorf("dialled %d, phone %v: withheld %v", c.p, c.phone, got)
		}
	}
}

func TestAPhoneShowsWhatItCanCallBack(t *testing.T) {
	forms := []Style{WithPlus, WithZeros, WithArea, WithoutPlus}
	for _, c := range []struct{ outside, came, shown string }{
		{"", "+4989555200", "089555200"},
		{"", "0049 89 555200", "089555200"},
		{"", "089555200", "089555200"},
		{"", "4989555200", "089555200"},
		{"", "+43 1 234567", "+431234567"},
		{"0", "+4989555200", "0089555200"},
		{"0", "+431234567", "000431234567"},
	} {
		b := office(c.outside)
		n := b.Read(c.came, forms)
		if got := b.Show(n); got != c.shown {
			t.Errorf("outside %q: %s is shown as %q, want %q", c.outside, c.came, got, c.shown)
		}
		if d := b.Dial(b.Show(n)); d.Number != n {
			t.Errorf("outside %q: calling %s back reaches %+v", c.outside, c.shown, d)
		}
	}
}
