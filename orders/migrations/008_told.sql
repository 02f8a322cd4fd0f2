-- What the verification page tells of a paper's list, so that a name added to it by hand
-- is noticed: the first names of a household. '' where there is none.
ALTER TABLE orders_paper ADD COLUMN told TEXT NOT NULL DEFAULT '';
