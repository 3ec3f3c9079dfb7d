package number

// Style is a way to write a number.
type Style string

// The styles. The examples are a number in Munich seen from Germany.
const (
	// Plus is "+498912345620".
	Plus Style = "+E.164"
	// Bare is "498912345620".
	Bare Style = "E.164 without +"
	// National is "08912345620", always with the area code; other countries
	// are written "0043…" with the international prefix.
	National Style = "national"
	// Zeros is "00498912345620": the international prefix also at home.
	Zeros Style = "00 and E.164"
)
