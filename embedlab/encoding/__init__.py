"""A model run over texts: batches, one forward pass,
copies of the model side by side; the vectors are kept.
"""
