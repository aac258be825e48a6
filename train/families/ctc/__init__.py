"""Encoders of transformers with a CTC head: wav2vec 2.0 and its kin, w2v-BERT 2, MMS."""
