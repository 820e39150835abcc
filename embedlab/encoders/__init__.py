"""The methods of the literature, one file each
(`methods` lists them); what they share is in `modules`.
"""
