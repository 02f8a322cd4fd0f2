package fas

import (
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/beevik/etree"

	"github.com/belfry-eid/belfry/idp/idpsql"
	"github.com/belfry-eid/belfry/internal/eid"
)

// messageLimit is the most that a response may weigh once decoded, in bytes.
const messageLimit = 256 << 10

// consumer checks one response.
type consumer struct {
	agreement *Agreement
	provider  *description
	request   idpsql.SAMLRequest
	now       time.Time
}

// said is what a verified assertion says.
type said struct {
	citizen eid.Citizen
	level   string
	name    nameID // by which the provider knows the person; may be empty
	session string // of the provider; may be empty
	id      string
	at      time.Time // when the person was asked
	until   time.Time // when the assertion can no longer be taken for new
}

// consume goes through all checks but the consumption.
func (c *consumer) consume(encoded string) (said, error) {
	if len(encoded) > messageLimit*4/3+4 {
		return said{}, refused("too_large", nil)
	}
	raw, err := base64.StdEncoding.Strict().DecodeString(strings.NewReplacer("\r", "", "\n", "").Replace(encoded))
	if err != nil {
		return said{}, refused("encoding", err)
	}
	response, err := parse(raw, false)
	if err != nil {
		return said{}, refused("xml", err)
	}
	if !is(response, nsProtocol, "Response") {
		return said{}, refused("xml", errShape)
	}
	if err := c.status(response); err != nil {
		return said{}, err
	}
	if err := c.agreement.shape(response, 1); err != nil {
		return said{}, refused("shape", err)
	}
	signed := len(children(response, nsSignature, "Signature")) == 1
	if signed {
		if response, err = validate(response, c.provider.keys, c.now); err != nil {
			return said{}, refused("signature", err)
		}
	}
	if err := c.envelope(response); err != nil {
		return said{}, refused("response", err)
	}
	assertion, err := c.assertion(response, signed)
	if err != nil {
		return said{}, err
	}
	return c.claims(assertion)
}

// status is looked at first: a refusal there carries no assertion. It is believed only
// as far as to say that the person is not signed in.
func (c *consumer) status(response *etree.Element) error {
	status, err := only(response, nsProtocol, "Status")
	if err != nil {
		return refused("status", err)
	}
	code, err := only(status, nsProtocol, "StatusCode")
	if err != nil {
		return refused("status", err)
	}
	if value(code, "Value") != statusSuccess {
		return gaveUp(errors.New("the provider did not sign anybody in"))
	}
	if len(code.ChildElements()) > 0 {
		return refused("status", errShape)
	}
	return nil
}

// envelope checks the response's own fields.
func (c *consumer) envelope(r *etree.Element) error {
	if err := c.message(r); err != nil {
		return err
	}
	switch {
	case value(r, "Destination") != c.request.Consumer:
		return errors.New("the Destination is not this consumer")
	case value(r, "InResponseTo") != c.request.ID:
		return errors.New("the InResponseTo is not this request")
	}
	return nil
}

// message checks what response and assertion have in common.
func (c *consumer) message(e *etree.Element) error {
	if value(e, "Version") != "2.0" {
		return errors.New("the Version is not 2.0")
	}
	if value(e, "ID") == "" {
		return errors.New("no ID")
	}
	issuer, err := only(e, nsAssertion, "Issuer")
	if err != nil {
		return err
	}
	if name, err := text(issuer); err != nil || name != c.provider.entity {
		return errors.New("the Issuer is not the provider")
	}
	issued, err := instant(e, "IssueInstant")
	if err != nil {
		return err
	}
	if issued.After(c.now.Add(skew)) || issued.Before(c.request.Issued.Add(-skew)) {
		return errors.New("the IssueInstant is out of time")
	}
	return nil
}

// instant reads a time attribute that must be there (xs:dateTime in UTC, saml-core §1.3.3).
func instant(e *etree.Element, name string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, value(e, name))
	if err != nil {
		return time.Time{}, fmt.Errorf("%s of %s: no time", name, e.Tag)
	}
	return t, nil
}

// assertion returns the assertion as signed: by its own signature, by the response's, or
// by both; where both are there, both must be good.
func (c *consumer) assertion(response *etree.Element, signed bool) (*etree.Element, error) {
	var assertion *etree.Element
	if list := children(response, nsAssertion, "Assertion"); len(list) == 1 {
		if assertion = list[0]; len(c.agreement.Encryption) > 0 && !signed && len(children(assertion, nsSignature, "Signature")) == 0 {
			return nil, refused("unsigned", nil)
		}
	} else {
		encrypted, err := only(response, nsAssertion, "EncryptedAssertion")
		if err != nil {
			return nil, refused("shape", err)
		}
		plain, err := c.agreement.decrypt(encrypted)
		if err != nil {
			return nil, refused("decryption", err)
		}
		if assertion, err = parse(plain, false); err != nil {
			return nil, refused("xml", err)
		}
		if !is(assertion, nsAssertion, "Assertion") {
			return nil, refused("shape", errShape)
		}
		if err := c.agreement.shape(assertion, 1); err != nil {
			return nil, refused("shape", err)
		}
	}
	if len(children(assertion, nsSignature, "Signature")) == 1 {
		verified, err := validate(assertion, c.provider.keys, c.now)
		if err != nil {
			return nil, refused("signature", err)
		}
		return verified, nil
	}
	if !signed {
		return nil, refused("unsigned", nil)
	}
	return assertion, nil
}

// claims reads a verified assertion: each thing once, and what is not known is refused.
func (c *consumer) claims(a *etree.Element) (said, error) {
	s := said{id: value(a, "ID")}
	if err := c.message(a); err != nil {
		return said{}, refused("assertion", err)
	}
	for _, part := range []struct {
		word string
		read func(*etree.Element, *said) error
	}{
		{"subject", c.subject}, {"conditions", c.conditions}, {"level", c.statement}, {"attributes", c.attributes},
	} {
		if err := part.read(a, &s); err != nil {
			return said{}, refused(part.word, err)
		}
	}
	return s, nil
}

// subject wants one bearer confirmation, good for this consumer, request and moment
// (saml-profiles §4.1.4.3).
func (c *consumer) subject(a *etree.Element, s *said) error {
	subject, err := only(a, nsAssertion, "Subject")
	if err != nil {
		return err
	}
	if s.name, err = c.agreement.named(subject); err != nil {
		return err
	}
	confirmation, err := only(subject, nsAssertion, "SubjectConfirmation")
	if err != nil {
		return err
	}
	data, err := only(confirmation, nsAssertion, "SubjectConfirmationData")
	if err != nil {
		return err
	}
	if s.until, err = instant(data, "NotOnOrAfter"); err != nil {
		return err
	}
	switch {
	case value(confirmation, "Method") != "urn:oasis:names:tc:SAML:2.0:cm:bearer":
		return errors.New("the confirmation is not bearer")
	case value(data, "Recipient") != c.request.Consumer:
		return errors.New("the Recipient is not this consumer")
	case value(data, "InResponseTo") != c.request.ID:
		return errors.New("the confirmation is for another request")
	case has(data, "NotBefore"):
		return errors.New("a bearer confirmation has no NotBefore")
	case !c.now.Before(s.until.Add(skew)):
		return errors.New("the confirmation is late")
	}
	return nil
}

func (c *consumer) conditions(a *etree.Element, s *said) error {
	conditions, err := only(a, nsAssertion, "Conditions")
	if err != nil {
		return err
	}
	if has(conditions, "NotBefore") {
		from, err := instant(conditions, "NotBefore")
		if err != nil || c.now.Add(skew).Before(from) {
			return errors.New("too early")
		}
	}
	if has(conditions, "NotOnOrAfter") {
		end, err := instant(conditions, "NotOnOrAfter")
		if err != nil || !c.now.Before(end.Add(skew)) {
			return errors.New("too late")
		}
		if end.After(s.until) {
			s.until = end
		}
	}
	audiences := 0
	for _, e := range conditions.ChildElements() {
		switch {
		case is(e, nsAssertion, "AudienceRestriction"):
			if audiences++; !c.meant(e) {
				return errors.New("for another audience")
			}
		case is(e, nsAssertion, "OneTimeUse"), is(e, nsAssertion, "ProxyRestriction"):
		default:
			return errors.New("an unknown condition") // saml-core §2.5.1.1: then it is indeterminate
		}
	}
	if audiences == 0 {
		return errors.New("for nobody in particular")
	}
	return nil
}

func (c *consumer) meant(restriction *etree.Element) bool {
	return slices.ContainsFunc(children(restriction, nsAssertion, "Audience"), func(e *etree.Element) bool {
		name, err := text(e)
		return err == nil && name == c.agreement.EntityID
	})
}

// longAgo is how old a single sign-on may be.
const longAgo = 4 * time.Hour

// statement wants one authentication, at a level that the commune knows and asked for.
func (c *consumer) statement(a *etree.Element, s *said) error {
	statement, err := only(a, nsAssertion, "AuthnStatement")
	if err != nil {
		return err
	}
	if s.at, err = instant(statement, "AuthnInstant"); err != nil {
		return err
	}
	if s.at.After(c.now.Add(skew)) || s.at.Before(c.now.Add(-longAgo)) || c.request.Forced && s.at.Before(c.request.Issued.Add(-skew)) {
		return errors.New("the person was asked at another time than wanted")
	}
	if has(statement, "SessionNotOnOrAfter") {
		if end, err := instant(statement, "SessionNotOnOrAfter"); err != nil || !c.now.Before(end.Add(skew)) {
			return errors.New("the session there is over")
		}
	}
	s.session = value(statement, "SessionIndex")
	context, err := only(statement, nsAssertion, "AuthnContext")
	if err != nil {
		return err
	}
	class, err := only(context, nsAssertion, "AuthnContextClassRef")
	if err != nil {
		return err
	}
	if s.level, err = text(class); err != nil {
		return err
	}
	if _, known := c.agreement.level(s.level); !known {
		return errors.New("a level that the commune does not know")
	}
	if len(c.request.Wanted) > 0 && !slices.Contains(c.request.Wanted, s.level) {
		return errors.New("another level than asked for")
	}
	return nil
}

// attributes wants one national number with its checksum, and the names.
func (c *consumer) attributes(a *etree.Element, s *said) error {
	statement, err := only(a, nsAssertion, "AttributeStatement")
	if err != nil {
		return err
	}
	number, err := attribute(statement, c.agreement.Number)
	if err != nil {
		return err
	}
	if s.citizen.Number, err = eid.ParseNationalNumber(number); err != nil {
		return err
	}
	if s.citizen.GivenNames, err = latin(statement, c.agreement.GivenNames); err != nil {
		return err
	}
	if s.citizen.Surname, err = latin(statement, c.agreement.Surname); err != nil {
		return err
	}
	if s.citizen.Name() == "" || !eid.Printable(s.citizen.GivenNames) || !eid.Printable(s.citizen.Surname) {
		return errors.New("no name, or one that no page can show")
	}
	return nil
}

// attribute is the one value of the one attribute of this name.
func attribute(statement *etree.Element, name string) (string, error) {
	found, err := named(statement, name)
	if err != nil {
		return "", err
	}
	inside, err := only(found, nsAssertion, "AttributeValue")
	if err != nil {
		return "", err
	}
	return text(inside)
}

// named is the one attribute of this name.
func named(statement *etree.Element, name string) (*etree.Element, error) {
	var found []*etree.Element
	for _, e := range children(statement, nsAssertion, "Attribute") {
		if value(e, "Name") == name {
			found = append(found, e)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("the attribute %s is there %d times", name, len(found))
	}
	return found[0], nil
}

// latin is the value of a name's attribute in Latin letters. Who comes by eIDAS may have
// their name in another script beside it, which is marked (eIDAS SAML attribute profile
// 1.4, 2.4): papers and registers here are in Latin ones.
func latin(statement *etree.Element, name string) (string, error) {
	found, err := named(statement, name)
	if err != nil {
		return "", err
	}
	all := children(found, nsAssertion, "AttributeValue")
	var ours []*etree.Element
	for _, v := range all {
		if !marked(v) {
			ours = append(ours, v)
		}
	}
	if len(all) > 2 || len(ours) != 1 {
		return "", fmt.Errorf("the attribute %s has %d values, %d of them in Latin letters", name, len(all), len(ours))
	}
	return text(ours[0])
}

const nsNatural = "http://eidas.europa.eu/attributes/naturalperson"

// marked says whether a value is in another script than the Latin.
func marked(v *etree.Element) bool {
	return slices.ContainsFunc(v.Attr, func(a etree.Attr) bool {
		return a.Key == "LatinScript" && (a.Space == "" || a.NamespaceURI() == nsNatural) && (a.Value == "false" || a.Value == "0")
	})
}
