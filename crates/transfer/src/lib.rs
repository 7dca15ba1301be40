//! Features, linear SVM, grid search, fine-tuning, PCA.
