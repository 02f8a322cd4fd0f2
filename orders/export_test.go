package orders

import (
	"context"

	"github.com/belfry-eid/belfry/internal/commune"
)

// InboxSQL is the statement by which a page of the inbox is read, for tests of its plan.
func InboxSQL(ctx context.Context, s *Service, c commune.ID, f Filter) (string, []any, error) {
	q, err := s.query(ctx, c, f)
	return selectOrder + q.text(51), append([]any{string(c)}, q.args...), err
}

// MandatesOf counts the mandates that stand for somebody, by the name that orders have for them.
func MandatesOf(ctx context.Context, s *Service, c commune.ID, person string) (int, error) {
	list, err := s.mandates(ctx, c, person)
	return len(list), err
}
