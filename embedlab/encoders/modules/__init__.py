"""What the methods share: templates, backbones, attention,
pooling, layers and dimensions as views.
"""
