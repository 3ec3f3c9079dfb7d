package config

// judge looks at the values of the whole site together.
func (r *reader) judge(s *Site) {
}
