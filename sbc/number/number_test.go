package number

import (
	"errors"
	"strings"
	"testing"
)

func munich(outside string) *Book {
	return NewBook(Plan{
		Country: "DE", AreaCode: "89", Outside: outside,
		Emergency:  []string{"110", "112"},
		Blocked:    []string{"010", "011", "012", "0900", "+992"},
		Short:      map[string]string{"700": "+4989999", "701": "22", "702": "*73", "703": "0043 1 234567", "704": "112"},
		Extensions: map[string]E164{"22": "+498912345622", "23": "", "7701": "", "60": ""},
	})
}

func TestWhatAUserInMunichDials(t *testing.T) {
	b := munich("")
	for _, c := range []struct {
		dialled string
		meaning Meaning
		text    string
		number  E164
		class   Class
	}{
		{"110", Emergency, "110", "", ""},
		{"112", Emergency, "112", "", ""},
		{"+49112", Emergency, "112", "", ""},
		{"704", Emergency, "112", "", ""},
		{"22", Extension, "22", "", Internal},
		{"7701", Extension, "7701", "", Internal},
		{"701", Extension, "22", "", Internal},
		{"089 12345622", Extension, "22", "+498912345622", Internal},
		{"+49 (89) 12345622", Extension, "22", "+498912345622", Internal},
		{"12345622", Extension, "22", "+498912345622", Internal},
		{"*72*08912345", Code, "*72*08912345", "", Internal},
		{"#21", Code, "#21", "", Internal},
		{"702", Code, "*73", "", Internal},
		{"700", Outside, "+4989999", "+4989999", Local},
		{"703", Outside, "00431234567", "+431234567", International},
		{"233-00", Outside, "23300", "+498923300", Local},
		{"23300", Outside, "23300", "+498923300", Local},
		{"2330", Vacant, "2330", "", Internal},
		{"24", Vacant, "24", "", Internal},
		{"089/233-0", Outside, "0892330", "+49892330", Local},
		{"030 90260", Outside, "03090260", "+493090260", National},
		{"0171 2345678", Outside, "01712345678", "+491712345678", National},
		{"0800 3301000", Outside, "08003301000", "+498003301000", National},
		{"0049 89 2330", Outside, "0049892330", "+49892330", Local},
		{"+43 1 234567", Outside, "+431234567", "+431234567", International},
		{"0043 1 234567", Outside, "00431234567", "+431234567", International},
		{"+1 212 555 2368", Outside, "+12125552368", "+12125552368", International},
		{"11833", Outside, "11833", "", National},
		{"116117", Outside, "116117", "", Local},
		{"115", Outside, "115", "", Local},
		{"010 33 0171", Blocked, "010330171", "+4910330171", National},
		{"0900 1 234567", Blocked, "09001234567", "+499001234567", National},
		{"+49 900 1 234567", Blocked, "+499001234567", "+499001234567", National},
		{"0049900 1234567", Blocked, "00499001234567", "+499001234567", National},
		{"+992 37 2210000", Blocked, "+992372210000", "+992372210000", International},
		{"00992372210000", Blocked, "00992372210000", "+992372210000", International},
		{"", Nonsense, "", "", ""},
		{"24x", Nonsense, "", "", ""},
		{"+", Nonsense, "", "", ""},
		{"++49", Nonsense, "", "", ""},
		{"*72*a", Nonsense, "", "", ""},
		{strings.Repeat("1", 100), Nonsense, "", "", ""},
		{strings.Repeat("1", 31), Nonsense, "", "", ""},
		{"22;drop", Nonsense, "", "", ""},
	} {
		want := Dialled{Meaning: c.meaning, Text: c.text, Number: c.number, Class: c.class}
		if got := b.Dial(c.dialled); got != want {
			t.Errorf("%q: %+v, want %+v", c.dialled, got, want)
		}
	}
}

func TestTheOutsidePrefixTellsInsideFromOutside(t *testing.T) {
	b := munich("0")
	for dialled, want := range map[string]Dialled{
		"112":          {Meaning: Emergency, Text: "112", Number: "", Class: ""},
		"0112":         {Meaning: Emergency, Text: "112", Number: "", Class: ""},
		"22":           {Meaning: Extension, Text: "22", Number: "", Class: Internal},
		"00892330":     {Meaning: Outside, Text: "0892330", Number: "+49892330", Class: Local},
		"02330":        {Meaning: Outside, Text: "2330", Number: "+49892330", Class: Local},
		"000431234567": {Meaning: Outside, Text: "00431234567", Number: "+431234567", Class: International},
		"+49892330":    {Meaning: Outside, Text: "+49892330", Number: "+49892330", Class: Local},
		"700":          {Meaning: Outside, Text: "+4989999", Number: "+4989999", Class: Local},
		"24":           {Meaning: Vacant, Text: "24", Number: "", Class: Internal},
		"2330":         {Meaning: Vacant, Text: "2330", Number: "", Class: Internal},
	} {
		if got := b.Dial(dialled); got != want {
			t.Errorf("%q: %+v, want %+v", dialled, got, want)
		}
	}
}

func TestNumbersAreWrittenAsAProviderWants(t *testing.T) {
	b := munich("")
	for _, c := range []struct {
		dialled string
		style   Style
		want    string
	}{
		{"0892330", WithPlus, "+49892330"},
		{"0892330", WithoutPlus, "49892330"},
		{"0892330", WithArea, "0892330"},
		{"0892330", WithZeros, "0049892330"},
		{"+431234567", WithArea, "00431234567"},
		{"+431234567", WithZeros, "00431234567"},
		{"11833", WithPlus, "11833"},
	} {
		if got := b.Write(b.Dial(c.dialled), c.style); got != c.want {
			t.Errorf("%s as %s: %s, want %s", c.dialled, c.style, got, c.want)
		}
	}
}

func TestNumbersFromAProviderAreUnderstood(t *testing.T) {
	b := munich("")
	all := []Style{WithPlus, WithZeros, WithArea, WithoutPlus}
	for text, want := range map[string]E164{
		"+498912345620":  "+498912345620",
		"00498912345620": "+498912345620",
		"08912345620":    "+498912345620",
		"498912345620":   "+498912345620",
		"00431234567":    "+431234567",
		"anonymous":      "",
		"":               "",
	} {
		if got := b.Read(text, all); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
	if got := b.Read("498912345620", []Style{WithPlus}); got != "" {
		t.Errorf("a form that isn't accepted was read as %q", got)
	}
}

func TestWhatAPhoneShowsCanBeDialledBack(t *testing.T) {
	for _, outside := range []string{"", "0"} {
		b := munich(outside)
		for _, n := range []E164{"+49892330", "+493090260", "+431234567", "+12125552368"} {
			shown := b.Show(n)
			if d := b.Dial(shown); d.Number != n {
				t.Errorf("outside %q: %s is shown as %s, and that is %+v", outside, n, shown, d)
			}
		}
	}
	if got := munich("").Pretty("+498912345620"); got != "089 12345620" {
		t.Errorf("pretty: %q", got)
	}
}

func TestASiteInNorthAmericaDialsWithTenDigitsOrSeven(t *testing.T) {
	b := NewBook(Plan{Country: "US", AreaCode: "212", Emergency: []string{"911"}, Extensions: map[string]E164{"100": ""}})
	for dialled, want := range map[string]Dialled{
		"911":            {Meaning: Emergency, Text: "911", Number: "", Class: ""},
		"5552368":        {Meaning: Outside, Text: "5552368", Number: "+12125552368", Class: Local},
		"3105552368":     {Meaning: Outside, Text: "3105552368", Number: "+13105552368", Class: National},
		"13105552368":    {Meaning: Outside, Text: "13105552368", Number: "+13105552368", Class: National},
		"011498912345":   {Meaning: Outside, Text: "011498912345", Number: "+498912345", Class: International},
		"1 876 555 2368": {Meaning: Outside, Text: "18765552368", Number: "+18765552368", Class: International},
	} {
		if got := b.Dial(dialled); got != want {
			t.Errorf("%q: %+v, want %+v", dialled, got, want)
		}
	}
}

func TestASiteWithoutAnAreaCodeLeavesLocalNumbersToTheProvider(t *testing.T) {
	b := NewBook(Plan{Country: "DE", Extensions: map[string]E164{"22": ""}})
	for dialled, want := range map[string]Dialled{
		"2330":    {Meaning: Outside, Text: "2330", Number: "", Class: Local},
		"0892330": {Meaning: Outside, Text: "0892330", Number: "+49892330", Class: National},
		"24":      {Meaning: Vacant, Text: "24", Number: "", Class: Internal},
	} {
		if got := b.Dial(dialled); got != want {
			t.Errorf("%q: %+v, want %+v", dialled, got, want)
		}
	}
}

func TestTheLongestExtensionSetsTheLength(t *testing.T) {
	if got := munich("").ExtensionLength(); got != 4 {
		t.Errorf("%d, want 4", got)
	}
}

func TestAClassCoversThoseBelowIt(t *testing.T) {
	order := []Class{Internal, Local, National, International}
	for i, have := range order {
		for j, need := range order {
			if got := have.Covers(need); got != (i >= j) {
				t.Errorf("%s covers %s: %v", have, need, got)
			}
		}
		if have.Covers("") || Class("").Covers(have) || Class("all").Covers(have) {
			t.Errorf("%s: a class that doesn't exist covers or is covered", have)
		}
	}
}

func TestE164IsReadStrictly(t *testing.T) {
	for text, want := range map[string]E164{"+49 89 123456-20": "+498912345620", "+1 (212) 555.2368": "+12125552368"} {
		if got, err := ParseE164(text); err != nil || got != want {
			t.Errorf("%q: %q %v", text, got, err)
		}
	}
	for text, want := range map[string]error{
		"089123": ErrNoPlus, "": ErrNoPlus, "+49x": ErrDigits, "+49": ErrLength,
		"+4989123456201234567": ErrLength, "+99912345678": ErrCountry, strings.Repeat("+", 99): ErrLength,
	} {
		if _, err := ParseE164(text); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func FuzzDial(f *testing.F) {
	for _, s := range []string{"112", "0049892330", "*72*0", "+1", "700", "0900", "704", "0704", "*31#112", "#31#089 2330", "*31#*", "(0)*31#24"} {
		f.Add(s, "0")
	}
	f.Fuzz(func(t *testing.T, s, outside string) {
		if len(outside) > 3 || outside != "" && !digitsOnly(outside) {
			outside = ""
		}
		b := &Book{plan: munich("").plan, code: "49", idd: "00", trunk: "0"}
		b.plan.Outside = outside
		d := b.Dial(s)
		if d.Meaning == Outside && d.Class == "" {
			t.Errorf("%q: %+v has no class, so nothing bars it", s, d)
		}
		if d.Number != "" && !strings.HasPrefix(string(d.Number), "+") {
			t.Errorf("%q: %+v", s, d)
		}
		if p := b.Privacy(s); p != d.Privacy {
			t.Errorf("%q: privacy %d, dialled %d", s, p, d.Privacy)
		}
		if e := b.Emergency(s); e != (d.Meaning == Emergency) {
			t.Errorf("%q: emergency %t, dialled %s", s, e, d.Meaning)
		}
	})
}

func BenchmarkEmergencyAndPrivacy(b *testing.B) {
	book := munich("")
	b.ReportAllocs()
	for b.Loop() {
		book.Emergency("089 2330")
		book.Privacy("089 2330")
	}
}

func BenchmarkDial(b *testing.B) {
	book := munich("")
	b.ReportAllocs()
	for b.Loop() {
		book.Dial("089 2330")
	}
}

func BenchmarkNewBook(b *testing.B) {
	for b.Loop() {
		munich("")
	}
}
