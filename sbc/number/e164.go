package number

import (
	"errors"
	"strings"

	"github.com/nyaruka/phonenumbers"
)

// E164 is a number in international form: "+", then 2 to 15 digits, the first
// of which is not 0 (ITU-T E.164 6). Its zero value is no number.
type E164 string

// Why a text is no E.164 number.
var (
	// ErrNoPlus says that the international form was expected and not found.
	ErrNoPlus = errors.New(`no leading "+" and country code`)
	// ErrDigits says that something else than digits stands in a number.
	ErrDigits = errors.New("something else than digits")
	// ErrLength says that a number is too short or too long to exist.
	ErrLength = errors.New("too short or too long")
	// ErrCountry says that no country has this code.
	ErrCountry = errors.New("no such country code")
)

const (
	minDigits = 5  // the shortest number in use world-wide that can be called from abroad
	maxDigits = 15 // ITU-T E.164 6.1
	maxDialed = 32 // longer texts are never looked at
)

// ParseE164 reads an international number. Spaces, hyphens, slashes, dots and
// brackets between the digits are taken out, nothing else is guessed: a
// number without "+" is ErrNoPlus.
func ParseE164(text string) (E164, error) {
	if len(text) > 2*maxDialed {
		return "", ErrLength
	}
	bare := strip(text)
	if !strings.HasPrefix(bare, "+") {
		return "", ErrNoPlus
	}
	digits := bare[1:]
	switch {
	case !digitsOnly(digits):
		return "", ErrDigits
	case len(digits) < minDigits || len(digits) > maxDigits:
		return "", ErrLength
	}
	n, err := phonenumbers.Parse(bare, "")
	if err != nil || !phonenumbers.GetSupportedCallingCodes()[int(n.GetCountryCode())] {
		return "", ErrCountry
	}
	return E164(bare), nil
}

// String is the number as it is, "+498912345620" say.
func (e E164) String() string { return string(e) }

// Digits is the number without its plus sign.
func (e E164) Digits() string { return strings.TrimPrefix(string(e), "+") }

// strip takes out what people put between digits to read them better, and the
// "(0)" of +49 (0)89, which is dialled at home only.
func strip(text string) string {
	if head, tail, found := strings.Cut(text, "(0)"); found && (strings.HasPrefix(head, "+") || strings.HasPrefix(head, "00")) {
		text = head + tail
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '-', '/', '.', '(', ')', '\u00a0', '\u2011', '\u2013':
			return -1
		}
		return r
	}, text)
}

func digitsOnly(text string) bool {
	for i := range len(text) {
		if text[i] < '0' || text[i] > '9' {
			return false
		}
	}
	return text != ""
}

// KnownCountry says whether country is an ISO 3166-1 code whose numbers can be
// read, "DE" say.
func KnownCountry(country string) bool {
	return phonenumbers.GetSupportedRegions()[country]
}

// CountryCode is the calling code of a country, 49 for "DE"; 0 if unknown.
func CountryCode(country string) int {
	return phonenumbers.GetCountryCodeForRegion(country)
}
