package number

import (
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// Write is the number as a provider wants it. What isn't an international
// number ("11833") is written as it is.
func (b *Book) Write(d Dialled, s Style) string {
	if d.Number == "" {
		return d.Text
	}
	return b.Format(d.Number, s)
}

// Format is an international number in a style, seen from the site's country.
func (b *Book) Format(n E164, s Style) string {
	switch s {
	case WithoutPlus:
		return n.Digits()
	case WithZeros:
		return b.idd + n.Digits()
	case WithArea:
		if national, home := strings.CutPrefix(string(n), "+"+b.code); home && b.code != "" {
			return b.trunk + national
		}
		return b.idd + n.Digits()
	default: // nothing to do
	}
	return string(n)
}

// Read understands a number that comes from a provider, in any of the styles
// that it may use. A number that none of them fits is empty: it is shown as it
// came, and called back by nobody.
func (b *Book) Read(text string, accept []Style) E164 {
	bare := strip(text)
	if bare == "" || len(bare) > maxDialed {
		return ""
	}
	for _, s := range accept {
		if n := b.read(bare, s); n != "" {
			return n
		}
	}
	return ""
}

func (b *Book) read(bare string, s Style) E164 {
	switch s {
	case WithPlus:
		if bare[0] != '+' {
			return ""
		}
	case WithZeros:
		if !strings.HasPrefix(bare, b.idd) {
			return ""
		}
	case WithArea:
		if b.trunk == "" || !strings.HasPrefix(bare, b.trunk) && !strings.HasPrefix(bare, b.idd) {
			return ""
		}
	case WithoutPlus:
		if bare[0] == '+' || b.trunk != "" && strings.HasPrefix(bare, b.trunk) {
			return ""
		}
		bare = "+" + bare
	default:
		return ""
	}
	return b.E164(bare)
}

// Inside is the extension whose public number n is.
func (b *Book) Inside(n E164) (ext string, ok bool) {
	ext, ok = b.public[n]
	return ext, ok && n != ""
}

// Show is a number as a phone's display should have it, so that pressing
// "call back" there dials it: the national form at home, +… abroad, the
// outside prefix in front where the site has one.
func (b *Book) Show(n E164) string {
	if n == "" {
		return ""
	}
	shown := string(n)
	if national, home := strings.CutPrefix(shown, "+"+b.code); home && b.code != "" {
		shown = b.trunk + national
	} else if b.plan.Outside != "" {
		shown = b.idd + n.Digits()
	}
	return b.plan.Outside + shown
}

// Pretty is a number grouped for a person to read, "089 12345620" or
// "+43 1 234567".
func (b *Book) Pretty(n E164) string {
	p, err := phonenumbers.Parse(string(n), "")
	if err != nil {
		return string(n)
	}
	if home := strings.HasPrefix(string(n), "+"+b.code) && b.code != ""; home {
		return phonenumbers.Format(p, phonenumbers.NATIONAL)
	}
	return phonenumbers.Format(p, phonenumbers.INTERNATIONAL)
}
