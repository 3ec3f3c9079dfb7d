package config

import (
	"fmt"
	"slices"
	"strings"

	"linekeeper/sbc/number"
)

// judge looks at the values of the whole site together. It also runs where
// single values were refused, so that everything is found at once; what was
// refused is zero here and left alone.
func (r *reader) judge(s *Site) {
	r.judgeServers(s)
	r.judgeMedia(s)
	r.judgeRegister(s)
	r.judgeCodecs(s)
	r.judgeNumbers(s)
	r.judgeTargets(s)
	r.judgeWayOut(s)
	r.judgeAccounts(s)
	r.judgePasswords(s)
	r.judgeDevices(s)
	r.judgeGateways(s)
	r.judgeClients(s)
	r.judgeListeners(s)
	r.judgeSecurity(s)
	r.judgeLinks(s)
	r.judgeSegments(s)
}

func (r *reader) wrong(path, hint, format string, args ...any) {
	r.add(Error, r.where(path), path, fmt.Sprintf(format, args...), hint)
}

func (r *reader) warn(path, hint, format string, args ...any) {
	r.add(Warning, r.where(path), path, fmt.Sprintf(format, args...), hint)
}

func at(list string, i int, key string) string {
	if key == "" {
		return fmt.Sprintf("%s[%d]", list, i)
	}
	return fmt.Sprintf("%s[%d].%s", list, i, key)
}

// Plan is the site's number plan.
func (s *Site) Plan() number.Plan {
	inside := make(map[string]number.E164, len(s.Extensions)+len(s.Groups))
	for _, g := range s.Groups {
		inside[g.Number] = ""
	}
	for _, e := range s.Extensions {
		inside[e.Number] = e.Public
	}
	delete(inside, "") // of an entry whose number was refused
	return number.Plan{
		Country: s.Site.Country, AreaCode: s.Site.AreaCode, Outside: s.Dialplan.OutsidePrefix,
		Emergency: s.Dialplan.Emergency, Blocked: s.Dialplan.Blocked, Short: s.Dialplan.Short,
		Extensions: inside,
	}
}

// Extension is the extension of that number.
func (s *Site) Extension(num string) (Extension, bool) {
	i := slices.IndexFunc(s.Extensions, func(e Extension) bool { return e.Number == num })
	if i < 0 {
		return Extension{}, false
	}
	return s.Extensions[i], true
}

// judgeNumbers finds numbers inside that are there twice or mean something else.
func (r *reader) judgeNumbers(s *Site) {
	owner := map[string]string{}
	profile := s.Profile()

	claim := func(num, path string) {
		if num == "" {
			return
		}
		if first, taken := owner[num]; taken {
			r.wrong(path, fmt.Sprintf("first in line %d", r.where(first).line), "the number %s is there twice", num)
			return
		}
		owner[num] = path
		for _, e := range s.Dialplan.Emergency {
			if num == e || num == s.Dialplan.OutsidePrefix+e {
				r.wrong(path, "choose another number", "%s is an emergency number", num)
			}
		}
		if p := s.Dialplan.OutsidePrefix; p != "" && strings.HasPrefix(num, p) {
			r.warn(path, "users who dial it slowly are connected inside", "begins with the outside prefix %s", p)
		} else if p == "" && strings.HasPrefix(num, "0") {
			r.warn(path, "choose a number without 0 in front", "begins like a number outside")
		}
		for _, c := range profile.Codes {
			if !strings.Contains(c.Pattern, "NUMBER") || strings.Contains(c.Pattern, "SECONDS") {
				continue
			}
			code := strings.Replace(c.Pattern, "NUMBER", num, 1)
			if d, ok := profile.Match(code); ok && d.Feature != c.Feature {
				r.warn(path, "choose another number", "%s means %q and can't be used to %s", code, d.Feature, c.Feature)
			}
		}
	}
	for i, e := range s.Extensions {
		claim(e.Number, at("extensions", i, "number"))
	}
	for i, g := range s.Groups {
		claim(g.Number, at("groups", i, "number"))
	}
	for _, num := range sortedKeys(s.Dialplan.Short) {
		claim(num, join("dialplan.short", num))
	}
	if len(s.Extensions) == 0 && r.written("extensions") {
		r.warn("extensions", "", "the site has no extension")
	}
	r.judgePublic(s)
}

// judgePublic looks at the numbers that the world sees.
func (r *reader) judgePublic(s *Site) {
	seen := map[number.E164]string{}
	for i, e := range s.Extensions {
		path := at("extensions", i, "public")
		if first, twice := seen[e.Public]; twice && e.Public != "" {
			r.warn(path, "the first one rings", "%s is also the number of extension %s", e.Public, first)
			continue
		}
		seen[e.Public] = e.Number
	}
	home := fmt.Sprintf("+%d", number.CountryCode(s.Site.Country))
	if main := s.Site.MainNumber; main != "" {
		switch {
		case !strings.HasPrefix(string(main), home):
			r.warn("site.main_number", "emergency calls show it", "%s isn't a number of the country %s", main, s.Site.Country)
		case s.Site.AreaCode != "" && !strings.HasPrefix(string(main), home+s.Site.AreaCode):
			r.warn("site.main_number", "", "%s isn't in the area %s", main, s.Site.AreaCode)
		}
	} else if !r.written("site.main_number") {
		r.warn("site", `add main_number: "+49…"`, "there is no main number to show with emergency calls")
	}
	if !r.written("site.area_code") && s.Site.Country == "DE" {
		r.warn("site", `add area_code: "89" for Munich`, "without an area code numbers dialled inside the local area can't be completed")
	}
}

// target says what is wrong with a number that calls are sent to.
func target(book *number.Book, num string) string {
	switch d := book.Dial(num); d.Meaning {
	case number.Vacant:
		return fmt.Sprintf("nobody has the number %s", num)
	case number.Nonsense:
		return fmt.Sprintf("%q can't be dialled here", shorten(num))
	case number.Blocked:
		return fmt.Sprintf("%s is barred by dialplan.blocked", num)
	case number.Emergency:
		return fmt.Sprintf("%s is an emergency number, no call is sent there by itself", num)
	default: // nothing to do
	}
	return ""
}

// judgeTargets follows every forward, group and short number to its end.
func (r *reader) judgeTargets(s *Site) {
	book := number.NewBook(s.Plan())
	always, any := map[string][]string{}, map[string][]string{}
	check := func(from, num, path string, class number.Class) {
		if num == "" {
			return
		}
		if why := target(book, num); why != "" {
			r.wrong(path, "", "%s", why)
			return
		}
		d := book.Dial(num)
		if class != "" && d.Class != "" && !class.Covers(d.Class) {
			r.warn(path, "the class decides when the call is sent on", "extension %s of class %s may not call %s", from, class, num)
		}
		if d.Meaning == number.Extension {
			any[from] = append(any[from], d.Text)
		}
	}
	for i, e := range s.Extensions {
		p := at("extensions", i, "forward.")
		check(e.Number, e.Forward.Always, p+"always", e.Class)
		always[e.Number] = slices.Clone(any[e.Number])
		check(e.Number, e.Forward.Busy, p+"busy", e.Class)
		check(e.Number, e.Forward.NoAnswer.To, p+"no_answer.to", e.Class)
		check(e.Number, e.Forward.Unreachable, p+"unreachable", e.Class)
	}
	for i, g := range s.Groups {
		r.judgeMembers(s, g, i)
		check(g.Number, g.Then, at("groups", i, "then"), "")
		always[g.Number] = slices.Clone(any[g.Number])
	}
	for _, num := range sortedKeys(s.Dialplan.Short) {
		path := join("dialplan.short", num)
		if _, chain := s.Dialplan.Short[s.Dialplan.Short[num]]; chain {
			r.wrong(path, "write the number itself", "a short number can't stand for another one")
			continue
		}
		if book.Dial(s.Dialplan.Short[num]).Meaning != number.Emergency {
			check("", s.Dialplan.Short[num], path, "")
		}
	}
	r.judgeLoops(s, always, any)
}

func (r *reader) judgeMembers(s *Site, g Group, i int) {
	seen := map[string]bool{}
	for j, m := range g.Members {
		path := fmt.Sprintf("%s[%d]", at("groups", i, "members"), j)
		_, known := s.Extension(m)
		switch {
		case m == "":
		case seen[m]:
			r.warn(path, "", "%s is in the group twice", m)
		case !known:
			r.warn(path, nearExtension(s, m), "there is no extension %s", m)
		}
		seen[m] = true
	}
	if len(g.Members) == 0 && r.written(at("groups", i, "members")) {
		r.warn(at("groups", i, "members"), "", "nobody is in the group")
	}
}

func nearExtension(s *Site, num string) string {
	var all []string
	for _, e := range s.Extensions {
		all = append(all, e.Number)
	}
	if near := Nearest(num, all); near != "" {
		return "did you mean " + near + "?"
	}
	return ""
}

// judgeLoops finds calls that would be sent in a circle. Each circle is said
// once, at its first member.
func (r *reader) judgeLoops(s *Site, always, any map[string][]string) {
	sure, maybe := circles(always), circles(any)
	check := func(num, path string) {
		if way := sure[num]; way != "" {
			r.wrong(path, "end it at a phone that rings", "calls are sent in a circle: %s", way)
		} else if way := maybe[num]; way != "" {
			r.warn(path, "the box ends such a call at the first repetition", "calls can be sent in a circle: %s", way)
		}
	}
	for i, e := range s.Extensions {
		check(e.Number, at("extensions", i, "forward"))
	}
	for i, g := range s.Groups {
		check(g.Number, at("groups", i, "then"))
	}
}

// circles finds the ways that lead back to where they began, at least one in
// each part of the graph that has any. Every number is visited once.
func circles(next map[string][]string) map[string]string {
	found, state := map[string]string{}, map[string]int{}
	const on, done = 1, 2
	var way []string
	var visit func(n string)
	visit = func(n string) {
		state[n] = on
		way = append(way, n)
		for _, m := range next[n] {
			switch state[m] {
			case on:
				found[m] = circle(way[slices.Index(way, m):])
			case done:
			default:
				visit(m)
			}
		}
		way = way[:len(way)-1]
		state[n] = done
	}
	for _, n := range sortedKeys(next) {
		if state[n] == 0 && n != "" {
			visit(n)
		}
	}
	return found
}

// circle writes a way back to its beginning; a long one only in part.
func circle(way []string) string {
	const most = 8
	if len(way) > most {
		way = append(slices.Clone(way[:most]), "…")
	}
	return strings.Join(append(slices.Clone(way), way[0]), " → ")
}

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
