"""The dashboard: reads results through leaderboard/,
searches through retrievers/, writes nothing.
"""
