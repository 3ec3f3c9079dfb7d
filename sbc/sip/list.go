package sip

import "strings"

// List cuts the value of a header field at its commas, those in quotes and
// angle brackets left alone (RFC 3261 7.3.1). Empty items are left out.
func List(value string) []string {
	var out []string
	for rest, more := strings.Trim(value, " \t"), true; more; {
		var item string
		if item, rest, more = cutList(rest); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// Fields cuts parameters at sep, those in quotes left alone; empty ones are left out.
func Fields(s string, sep byte) []string {
	var out []string
	start, quotes := 0, false
	for i := 0; i <= len(s); i++ {
		switch {
		case i == len(s) || s[i] == sep && !quotes:
			if f := strings.Trim(s[start:i], " \t"); f != "" {
				out = append(out, f)
			}
			start = i + 1
		case s[i] == '\\' && quotes:
			i = min(i+1, len(s)-1)
		case s[i] == '"':
			quotes = !quotes
		}
	}
	return out
}
