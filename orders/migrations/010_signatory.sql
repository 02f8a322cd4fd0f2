-- The delegate whose name and mention a paper bears; '' for papers of before.
ALTER TABLE orders_paper ADD COLUMN signatory TEXT NOT NULL DEFAULT '';
ALTER TABLE orders_paper ADD COLUMN signatory_name TEXT NOT NULL DEFAULT '';
ALTER TABLE orders_paper ADD COLUMN signatory_office TEXT NOT NULL DEFAULT '';
